// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire render`

use std::path::PathBuf;

use clap::ValueEnum;

use crate::commands::render::{Range, Scale, Size};

/// `blendwire render`
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Renders in a Blender of its own without a window, which opens the file and is gone afterwards; the file itself is never \
changed. It is chosen as `blendwire launch` chooses. Paths of finished pictures go to stdout, everything else to stderr. A \
picture gets its name when it is whole: after Ctrl-C, a crash or a power cut, --resume renders what is missing. A frame that fails \
does not keep the others from being rendered; three in a row do.

Examples:
  blendwire render scene.blend     # the current frame, to where the file says
  blendwire render scene.blend --frames 1-250 --output //frames/####.png
  blendwire render scene.blend --frames 1-250 --output //frames/####.png --resume
  blendwire render scene.blend --animation --engine workbench --scale 25% --output /tmp/preview_
  blendwire render scene.blend -o still.png --camera Above --resolution 640x360 --embedded

Exit status: 0 all are rendered, 1 a frame failed or it was stopped, 2 wrong use or Blender could not be started.")]
pub(crate) struct RenderArgs {
    /// The .blend file
    pub(crate) file: PathBuf,
    /// Frames: numbers and ranges, a range with its step after a colon, as 1-250,300,400-500:10 [default: the current one]
    #[arg(long, short = 'f', value_name = "FRAMES", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) frames: Vec<Range>,
    /// The scene's own range of frames
    #[arg(long, short = 'a', conflicts_with = "frames")]
    pub(crate) animation: bool,
    /// Where to: #### becomes the frame's number, // at the beginning the file's folder [default: as set in the file]
    #[arg(long, short = 'o', value_name = "PATTERN")]
    pub(crate) output: Option<String>,
    /// Leave out frames whose picture is there
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Replace pictures that are there
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// File format [default: that of the pattern's ending, else as set in the file]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Render engine: cycles, eevee, workbench, or the name of another [default: as set in the file]
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
    /// Samples per pixel, of Cycles and EEVEE
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub(crate) samples: Option<u32>,
    /// Size of the picture in pixels, as 1920x1080
    #[arg(long, value_name = "SIZE")]
    pub(crate) resolution: Option<Size>,
    /// And how much of that, as 50% [default: as set in the file; 100% with --resolution]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) scale: Option<Scale>,
    /// The scene [default: the one that was open when the file was saved]
    #[arg(long)]
    pub(crate) scene: Option<String>,
    /// The camera, by the name of its object; goes before those that markers in the timeline name
    #[arg(long)]
    pub(crate) camera: Option<String>,
    /// Take Blender's own Python module from PyPI, as `blendwire launch --embedded` does
    #[arg(long, conflicts_with = "blender")]
    pub(crate) embedded: bool,
    /// The Blender executable [default: BLENDWIRE_BLENDER, else found]
    #[arg(long, value_name = "PATH")]
    pub(crate) blender: Option<PathBuf>,
    /// Print a JSON object for each frame: frame, paths and seconds, or frame and error
    #[arg(long)]
    pub(crate) json: bool,
}

/// The formats that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Png,
    #[value(alias = "jpg")]
    Jpeg,
    Exr,
    #[value(alias = "tif")]
    Tiff,
    Webp,
    Tga,
    Bmp,
    Hdr,
}

impl Format {
    /// The name that Blender has for it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Exr => "OPEN_EXR",
            Self::Tiff => "TIFF",
            Self::Webp => "WEBP",
            Self::Tga => "TARGA",
            Self::Bmp => "BMP",
            Self::Hdr => "HDR",
        }
    }
}
