// SPDX-License-Identifier: GPL-3.0-or-later
//! Puts the add-on's zip into the executable, so that users need nothing else.
//!
//! `cargo xtask build` names the zip in `BLENDWIRE_ADDON_ZIP`. Without it the executable is built without an add-on and
//! says so when `launch` needs one; everything else works.

use std::env;
use std::path::PathBuf;

/// Unpacked beside the add-on, and so part of what tells one unpacked folder from another.
const LAUNCHER: &str = "src/commands/launch/launcher.py";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={LAUNCHER}");
    println!("cargo:rerun-if-env-changed=BLENDWIRE_ADDON_ZIP");
    let zip = match env::var_os("BLENDWIRE_ADDON_ZIP").filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo:rerun-if-changed={}", path.display());
            std::fs::read(&path).unwrap_or_else(|error| panic!("BLENDWIRE_ADDON_ZIP={}: {error}", path.display()))
        }
        None => Vec::new(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("addon.zip");
    std::fs::write(&out, &zip).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
    let launcher = std::fs::read(LAUNCHER).unwrap_or_else(|error| panic!("{LAUNCHER}: {error}"));
    println!("cargo:rustc-env=BLENDWIRE_ADDON_HASH={:016x}", fnv1a(&[zip, launcher].concat()));
}

/// Names the folder that the add-on is unpacked to. Tells builds apart; protects from nothing.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
