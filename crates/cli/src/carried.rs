// SPDX-License-Identifier: GPL-3.0-or-later
//! The add-on that this executable carries, as the zip that Blender installs.

use anyhow::{Result, bail};

/// Empty in a build that carries none. A static, for there is one of it: a constant is in the executable wherever it is used.
static ZIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/addon.zip"));

/// The zip.
///
/// # Errors
/// When this build has none.
pub(crate) fn zip() -> Result<&'static [u8]> {
    if ZIP.is_empty() {
        bail!("this build carries no add-on; build with `cargo xtask build`");
    }
    Ok(ZIP)
}
