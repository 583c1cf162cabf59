// SPDX-License-Identifier: GPL-3.0-or-later
//! The embedded runtime: Blender's own `bpy` from PyPI in a private environment, made at the first use.
//!
//! An environment counts only when its marker file was written, which happens last: one that was interrupted is made
//! anew. A lock keeps two of this command from making the same one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{pip, python};
use crate::{data, env_vars, printer};

/// A release of bpy and the one CPython that it is built for.
struct Runtime {
    bpy: &'static str,
    python: &'static str,
}

/// Newest first; both were tried.
const RUNTIMES: [Runtime; 2] = [Runtime { bpy: "5.2.3", python: "3.13" }, Runtime { bpy: "5.0.1", python: "3.11" }];

/// Written into an environment when it is whole.
const MARKER: &str = "blendwire-complete";

/// The interpreter of an environment in which `import bpy` works.
///
/// # Errors
/// When there is no Python to make one with, when the named one cannot be used, or when the installation fails.
pub(super) fn python() -> Result<PathBuf> {
    let data = data::folder()?;
    let versions = RUNTIMES.map(|runtime| runtime.python).join(" or ");
    if let Some((base, version)) = python::named()? {
        let Some(runtime) = RUNTIMES.iter().find(|runtime| runtime.python == version) else {
            let (name, base) = (env_vars::PYTHON, base.display());
            bail!("{name} cannot be used: {base} is Python {version}; the embedded Blender needs {versions}");
        };
        return runtime.make(&base, &data);
    }
    for runtime in &RUNTIMES {
        let folder = runtime.folder(&data);
        if is_whole(&folder) {
            return Ok(interpreter(&folder));
        }
    }
    for runtime in &RUNTIMES {
        if let Some(base) = python::find(runtime.python) {
            return runtime.make(&base, &data);
        }
    }
    bail!(
        "the embedded Blender needs Python {versions} with its venv module, and none was found: install one (for \
         instance with `uv python install {}`, or Debian's python3-venv), or name it with {}",
        RUNTIMES[0].python,
        env_vars::PYTHON
    )
}

impl Runtime {
    fn folder(&self, data: &Path) -> PathBuf {
        data.join(format!("bpy-{}", self.bpy))
    }

    fn make(&self, base: &Path, data: &Path) -> Result<PathBuf> {
        let folder = self.folder(data);
        let _lock = lock(&data.join(format!("bpy-{}.lock", self.bpy)))?;
        if is_whole(&folder) {
            return Ok(interpreter(&folder));
        }
        let Self { bpy, python } = self;
        printer::talk(&format!("making the embedded Blender: bpy {bpy} with Python {python}, in {}", folder.display()));
        if folder.exists() {
            printer::talk("an earlier attempt was interrupted; starting anew");
            fs_err::remove_dir_all(&folder)?;
        }
        let venv = Command::new(base).args(["-m", "venv"]).arg(&folder).stdin(Stdio::null()).output()?;
        if !venv.status.success() {
            bail!("{} -m venv failed: {}", base.display(), String::from_utf8_lossy(&venv.stderr).trim());
        }
        let interpreter = interpreter(&folder);
        pip::install(&interpreter, &format!("bpy=={bpy}")).with_context(|| {
            format!("cannot install bpy {bpy} from PyPI (is this machine online?); the next `launch` tries anew")
        })?;
        fs_err::write(folder.join(MARKER), format!("{bpy}\n"))?;
        Ok(interpreter)
    }
}

fn is_whole(folder: &Path) -> bool {
    folder.join(MARKER).is_file() && interpreter(folder).exists()
}

fn interpreter(folder: &Path) -> PathBuf {
    if cfg!(windows) { folder.join("Scripts/python.exe") } else { folder.join("bin/python") }
}

/// Held until the file is dropped.
fn lock(path: &Path) -> Result<std::fs::File> {
    let file = fs_err::File::create(path)?.into_parts().0;
    if file.try_lock().is_err() {
        printer::talk("another blendwire is making the embedded Blender; waiting for it");
        file.lock()?;
    }
    Ok(file)
}
