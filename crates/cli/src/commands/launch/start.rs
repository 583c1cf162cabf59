// SPDX-License-Identifier: GPL-3.0-or-later
//! What is run to have a Blender with the server on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use blendwire_client::Endpoint;

use super::addon::{self, Addon};
use super::embedded;
use crate::{blenders, env_vars, printer};

/// Has a Blender end with the command that it belongs to.
const OWNED: &str = include_str!("owned.py");

/// What `python -m blendwire` does, after something else.
const SERVE: &str = "import runpy\nrunpy.run_module('blendwire', run_name='__main__', alter_sys=True)";

/// A Blender to start.
pub(crate) struct Start<'a> {
    /// The executable, where one is named.
    pub(crate) blender: Option<&'a Path>,
    /// Blender's Python module instead.
    pub(crate) embedded: bool,
    /// Without a window.
    pub(crate) background: bool,
    /// The .blend file to open.
    pub(crate) file: Option<&'a Path>,
    /// Where it listens.
    pub(crate) endpoint: &'a Endpoint,
    /// It ends when its stdin does. Then it needs [`super::child::Child::start_owned`].
    pub(crate) owned: bool,
}

impl Start<'_> {
    /// The command that starts it. Finds, and makes, what that needs.
    ///
    /// # Errors
    /// When there is no Blender that can be started, or the add-on cannot be unpacked.
    pub(crate) fn command(&self) -> Result<Command> {
        let addon = addon::unpack()?;
        let mut command = if self.embedded { self.module(&addon)? } else { self.executable(&addon)? };
        command.env(env_vars::BIND, self.endpoint.to_string());
        Ok(command)
    }

    fn module(&self, addon: &Addon) -> Result<Command> {
        let Endpoint { host, port } = self.endpoint;
        let mut command = Command::new(embedded::python()?);
        if self.owned {
            command.args(["-c", &format!("{OWNED}\n{SERVE}")]);
        } else {
            command.args(["-m", "blendwire"]);
        }
        command.args(["--host", host, "--port", &port.to_string()]).args(self.file);
        command.env("PYTHONPATH", &addon.folder).env("PYTHONUNBUFFERED", "1");
        Ok(command)
    }

    fn executable(&self, addon: &Addon) -> Result<Command> {
        let blender = blenders::to_start(self.blender, blenders::NAMED_WITHIN, blenders::nearest)?;
        printer::talk(&format!("starting Blender {} ({})", blender.version, blender.path.display()));
        let mut command = Command::new(blender.path);
        if self.background {
            command.arg("--background");
        }
        // Blender takes its arguments in order: this has to be so while it opens the file too.
        if self.owned {
            command.args(["--python-expr", OWNED]);
        }
        // `--python` comes before the file in no case.
        command.args(self.file).args(["--python-exit-code", "1", "--python"]).arg(&addon.launcher);
        Ok(command)
    }
}

/// The whole path of a .blend file that is there.
pub(crate) fn blend_file(path: &Path) -> Result<PathBuf> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot open {}", path.display()))?;
    if metadata.is_dir() {
        bail!("{} is a folder; name a .blend file in it", path.display());
    }
    Ok(std::path::absolute(path)?)
}
