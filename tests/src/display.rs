// SPDX-License-Identifier: GPL-3.0-or-later
//! A virtual display and pictures of it.
//!
//! Pictures come from the server's own frame buffer file, because Blender's screenshot operator gives black pixels
//! under software rendering.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// A virtual display. Gone when dropped.
#[derive(Debug)]
pub struct Display {
    server: Child,
    /// Value for the environment variable `DISPLAY`.
    pub name: String,
    frame_buffer: TempDir,
}

/// What a display showed: RGB bytes row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Three bytes for each pixel.
    pub rgb: Vec<u8>,
}

impl Display {
    /// Starts a server on a display number that it finds free.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn start(xvfb: &Path) -> Result<Self> {
        let frame_buffer = tempfile::Builder::new().prefix("blendwire-display-").tempdir()?;
        let mut server = Command::new(xvfb)
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1600x1000x24",
                "+extension",
                "GLX",
                "-nolisten",
                "tcp",
                "-fbdir",
            ])
            .arg(frame_buffer.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", xvfb.display()))?;
        let stdout = server.stdout.take().context("the display server has no stdout")?;
        let mut number = String::new();
        BufReader::new(stdout).read_line(&mut number)?;
        let number = number.trim();
        if number.is_empty() {
            let status = server.wait()?;
            bail!("the display server ended without a display: {status}");
        }
        Ok(Self { name: format!(":{number}"), server, frame_buffer })
    }

    /// What the display shows now.
    ///
    /// # Errors
    /// When the frame buffer is not in the form that this was written for.
    pub fn picture(&self) -> Result<Picture> {
        Picture::from_xwd(&fs_err::read(self.frame_buffer.path().join("Xvfb_screen0"))?)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Picture {
    /// Reads an X window dump (`XWDFile.h`): a header of big-endian 32-bit numbers, a colour map, 32-bit pixels.
    fn from_xwd(dump: &[u8]) -> Result<Self> {
        const COLOR_MAP_ENTRY_BYTES: usize = 12;
        let number = |index: usize| -> Result<usize> {
            let bytes = dump.get(4 * index..4 * index + 4).context("the frame buffer is cut short")?;
            Ok(bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
        };
        let (header_bytes, width, height, stride) = (number(0)?, number(4)?, number(5)?, number(12)?);
        anyhow::ensure!(number(11)? == 32, "{} bits in a pixel, not 32", number(11)?);
        let pixels = header_bytes + number(19)? * COLOR_MAP_ENTRY_BYTES;
        let mut rgb = Vec::with_capacity(3 * width * height);
        for row in 0..height {
            let at = pixels + row * stride;
            let row = dump.get(at..at + 4 * width).context("the frame buffer is cut short")?;
            rgb.extend(row.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]));
        }
        Ok(Self { width, height, rgb })
    }

    /// Reads a PNG of 8-bit RGB or RGBA pixels; transparency is left out.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_png(bytes: &[u8]) -> Result<Self> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().context("too large")?];
        let info = reader.next_frame(&mut pixels)?;
        let channels = match (info.color_type, info.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
            (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
            other => bail!("pixels are {other:?}"),
        };
        let rgb = pixels.chunks_exact(channels).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Ok(Self { width: usize::try_from(info.width)?, height: usize::try_from(info.height)?, rgb })
    }

    /// How many pixels of a rectangle (left, top, width, height) differ from another picture's.
    pub fn differing(&self, other: &Self, [left, top, width, height]: [usize; 4]) -> usize {
        let pixel = |picture: &Self, x: usize, y: usize| {
            let at = 3 * (y * picture.width + x);
            picture.rgb.get(at..at + 3).map(<[u8]>::to_vec)
        };
        let all = (top..top + height).flat_map(|y| (left..left + width).map(move |x| (x, y)));
        all.filter(|(x, y)| pixel(self, *x, *y) != pixel(other, *x, *y)).count()
    }

    /// How many different colours there are.
    pub fn colours(&self) -> usize {
        self.rgb.chunks_exact(3).collect::<std::collections::HashSet<_>>().len()
    }

    /// Writes a PNG.
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = std::io::BufWriter::new(fs_err::File::create(path)?);
        let mut encoder = png::Encoder::new(file, u32::try_from(self.width)?, u32::try_from(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        Ok(())
    }
}
