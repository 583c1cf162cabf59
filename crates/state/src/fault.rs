// SPDX-License-Identifier: GPL-3.0-or-later
//! Panics where the end-to-end tests want them.

/// Panics here when a test wants that: where the folder that `BLENDWIRE_FAULTS` names has a file of this name, which is
/// removed. Only in builds with the feature `faults`, which nothing that is shipped has.
///
/// # Panics
/// See above.
#[cfg(feature = "faults")]
pub fn fault(place: &str) {
    let Some(folder) = std::env::var_os("BLENDWIRE_FAULTS") else { return };
    let is_wanted = std::fs::remove_file(std::path::Path::new(&folder).join(place)).is_ok();
    assert!(!is_wanted, "a test wants a panic in {place}");
}

/// Nothing: this build has no faults.
#[cfg(not(feature = "faults"))]
pub fn fault(_place: &str) {}
