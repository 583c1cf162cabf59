// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon build`

use std::path::PathBuf;

use super::package::Package;
use crate::args::BuildArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(super) fn run(args: &BuildArgs) -> Ended {
    let package = Package::open(None).map_err(Failure::could_not_start)?;
    let wanted = args.output.clone().unwrap_or_else(|| PathBuf::from("."));
    let path = if wanted.is_dir() { wanted.join(package.file_name()) } else { wanted };
    package.write(&path).map_err(Failure::failed)?;
    let path = std::path::absolute(&path).unwrap_or(path);
    printer::data(&path.display().to_string())
}
