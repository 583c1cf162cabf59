// SPDX-License-Identifier: GPL-3.0-or-later
//! What can be asked for in a word: frames, a size, a part of it.

use std::str::FromStr;

use serde::Serialize;

/// Blender's own limits of frame numbers.
const FRAMES: std::ops::RangeInclusive<i32> = -1_048_574..=1_048_574;

/// Blender's own limit of a side, in pixels.
const LARGEST_SIDE: u32 = 65_536;

/// Frames from the first to the last with this step: `7`, `1-250`, `400-500:10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Range(i32, i32, u32);

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no frame, no range as 1-250 and no range with a step as 1-250:10");
        let (range, step) = match text.split_once(':') {
            Some((range, step)) => (range, step.trim().parse().map_err(|_| wrong())?),
            None => (text, 1),
        };
        // A minus at the beginning is the number's.
        let dash = range.trim_start().char_indices().skip(1).find(|(_, character)| *character == '-');
        let (first, last) = match dash {
            Some((at, _)) => (&range.trim_start()[..at], &range.trim_start()[at + 1..]),
            None => (range, range),
        };
        let number = |text: &str| text.trim().parse::<i32>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last || step == 0 {
            return Err(format!("{text:?} has no frame in it: the first comes first, and a step is 1 or more"));
        }
        if !FRAMES.contains(&first) || !FRAMES.contains(&last) {
            return Err(format!("frames are from {} to {}", FRAMES.start(), FRAMES.end()));
        }
        Ok(Self(first, last, step))
    }
}

/// Width and height in pixels: `1920x1080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Size(u32, u32);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=LARGEST_SIDE).contains(side));
        let sides = text.split_once(['x', 'X', '×']).and_then(|(width, height)| Some((side(width)?, side(height)?)));
        let (width, height) = sides.ok_or_else(|| format!("a size is as 1920x1080, each side 1 to {LARGEST_SIDE}"))?;
        Ok(Self(width, height))
    }
}

/// Per cent of the size: `50%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Scale(u16);

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// What Blender takes.
        const PERCENT: std::ops::RangeInclusive<u16> = 1..=32_767;
        let percent = text.trim().trim_end_matches('%').trim_end().parse().ok();
        let percent = percent.filter(|percent| PERCENT.contains(percent));
        percent.map(Self).ok_or_else(|| "a whole number of per cent, as 50%".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_numbers_and_ranges() {
        let range = |text: &str| text.parse::<Range>();
        assert_eq!(range("7"), Ok(Range(7, 7, 1)));
        assert_eq!(range("1-250"), Ok(Range(1, 250, 1)));
        assert_eq!(range(" 400 - 500 : 10"), Ok(Range(400, 500, 10)));
        assert_eq!(range("-10--5"), Ok(Range(-10, -5, 1)));
        assert_eq!(range("-3-3:2"), Ok(Range(-3, 3, 2)));
        for wrong in ["", "-", "1-", "5-1", "1-5:0", "a", "1-2-3", "1.5", "0-2000000", "1-5:-1"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_parts_of_them() {
        assert_eq!("1920x1080".parse(), Ok(Size(1920, 1080)));
        assert_eq!("50%".parse(), Ok(Scale(50)));
        assert_eq!("200".parse(), Ok(Scale(200)));
        for wrong in ["1920", "0x5", "5x70000", "x"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        for wrong in ["0%", "half", "-5", "99999"] {
            assert!(wrong.parse::<Scale>().is_err(), "{wrong}");
        }
    }
}
