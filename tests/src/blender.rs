// SPDX-License-Identifier: GPL-3.0-or-later
//! Real Blenders with the add-on in them, each with settings of its own in a temporary folder.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::display::Display;
use crate::environment::Environment;
use crate::process::{Process, wait_until};
use crate::template::Kind;
use crate::wire::{Wire, http};

/// Software rendering and a cold disk make a first start slow.
const START_WITHIN: Duration = Duration::from_mins(2);

/// Which Blender, and how it lends its main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// The `bpy` module 4.2 on Python 3.11, by `python -m blendwire`.
    Bpy42,
    /// The `bpy` module 5.0 on Python 3.11, likewise.
    Bpy50,
    /// The `bpy` module 5.2 on Python 3.13, likewise.
    Bpy52,
    /// Blender with its window on a virtual display, the extension installed by Blender's own command.
    Windowed,
    /// The same Blender without its window, by `--command blendwire`.
    Background,
}

impl Flavour {
    /// For test names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpy42 => "bpy_4_2",
            Self::Bpy50 => "bpy_5_0",
            Self::Bpy52 => "bpy_5_2",
            Self::Windowed => "windowed",
            Self::Background => "background",
        }
    }
}

/// What differs between starts.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Port; `None` takes a free one and forces it by `BLENDWIRE_BIND`.
    pub port: Option<u16>,
    /// Leave the address to the add-on's own defaults (port 9876).
    pub defaults: bool,
    /// Settings folder of an earlier start, to start again with the same preferences.
    pub resources: Option<PathBuf>,
    /// Install as a legacy add-on and not as an extension.
    pub legacy: bool,
    /// Folder of what is kept between starts, the audit journal's; `None` takes one in the test's own folder.
    pub state: Option<PathBuf>,
    /// What follows `--command blendwire` or `python -m blendwire`.
    pub arguments: Vec<String>,
    /// What Blender itself is told, before `--command`.
    pub blender_arguments: Vec<String>,
    /// An address of this machine that it listens on instead of localhost, and answers nobody there without TLS.
    pub reached_at: Option<String>,
    /// Number of the user that `python -m blendwire` runs as, where it is another one.
    pub user: Option<String>,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
    /// A window of 1600 by 1000 pixels, in which panels and editors have room, instead of one that is drawn in a third of the
    /// time.
    pub large_window: bool,
    /// Python that a windowed Blender runs at its start.
    pub python_expr: Option<String>,
}

/// The add-on's preferences, in Python: its module is called by where it was installed.
pub const PREFERENCES: &str =
    "next(addon for addon in bpy.context.preferences.addons if addon.module.endswith('blendwire')).preferences";

/// What a user allows in Python before the server may be reached from elsewhere. Before 4.2 nobody asks.
pub const ALLOW_ONLINE_ACCESS: &str = "system = bpy.context.preferences.system\n\
    if hasattr(system, 'use_online_access'):\n    system.use_online_access = True\n";

/// A running Blender. Killed when dropped.
#[derive(Debug)]
pub struct Blender {
    /// Which one it is.
    pub flavour: Flavour,
    /// The port that its server listens on.
    pub port: u16,
    /// The process.
    pub process: Process,
    /// Its settings folder.
    pub resources: PathBuf,
    /// The folder of what it keeps between starts.
    pub state: PathBuf,
    /// A folder for the files of a test, seen by Blender under the same path.
    pub folder: TempDir,
    /// The display that it draws on, when it has a window.
    pub display: Option<Display>,
}

/// A port that nothing listens on, nor on the next one, and that this process has not given out before: whoever is to
/// listen on it may take long to start, and no other test gets it meanwhile.
///
/// # Errors
/// When none is left.
pub fn free_port() -> Result<u16> {
    // Below those that systems choose for whoever does not ask for one: from 32768 on Linux, from 49152 elsewhere.
    const LOWEST: u32 = 20_000;
    const COUNT: u32 = 3_000;
    // Some tests take the next ones too.
    const APART: u32 = 4;
    // Processes that run side by side, whose numbers are often neighbours, begin far from each other.
    const SCATTER: u32 = 1_853;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() % COUNT * SCATTER;
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        ensure!(given < COUNT, "all {COUNT} ports from {LOWEST} on were given out or are taken");
        let port = u16::try_from(LOWEST + (first + given) % COUNT * APART)?;
        if is_free(port) && is_free(port + 1) {
            return Ok(port);
        }
    }
}

/// On both loopback addresses, where the machine has both.
fn is_free(port: u16) -> bool {
    let by_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && !by_ipv6.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Whether this process serves that port, and not another test's Blender. One that wants a token does not tell.
fn is_served_by(pid: u32, port: u16) -> bool {
    match http(port, "GET /status", "") {
        Ok((200, status)) => {
            serde_json::from_str::<serde_json::Value>(&status).is_ok_and(|status| status["pid"] == pid)
        }
        answer => answer.is_ok(),
    }
}

impl Blender {
    /// Starts one and waits until it takes requests.
    ///
    /// # Errors
    /// With what it printed, when it does not come up.
    pub fn start(environment: &Environment, flavour: Flavour, settings: &Settings) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("blendwire-test-").tempdir()?;
        let resources = settings.resources.clone().unwrap_or_else(|| folder.path().join("resources"));
        let state = settings.state.clone().unwrap_or_else(|| folder.path().join("state"));
        let port = match settings.port {
            Some(port) => port,
            None if settings.defaults => 9876,
            None => free_port()?,
        };
        let mut display = None;
        let mut command = match flavour {
            Flavour::Bpy42 => module(&environment.bpy_4_2, environment, folder.path(), port)?,
            Flavour::Bpy50 => module(&environment.bpy_5_0, environment, folder.path(), port)?,
            Flavour::Bpy52 => module(&environment.bpy_5_2, environment, folder.path(), port)?,
            Flavour::Windowed => {
                with_addon(environment, &resources, settings)?;
                let display = display.insert(Display::start(&environment.xvfb)?);
                windowed(environment, &display.name, settings)?
            }
            Flavour::Background => {
                with_addon(environment, &resources, settings)?;
                let mut command = Command::new(&environment.blender);
                command.arg("--background").args(&settings.blender_arguments);
                command.args(["--command", "blendwire", "--port", &port.to_string()]);
                command
            }
        };
        if flavour != Flavour::Windowed {
            command.args(&settings.arguments);
        }
        if let Some(user) = &settings.user {
            command = as_user(user, &command, folder.path())?;
        }
        if flavour == Flavour::Windowed && !settings.defaults {
            command.env("BLENDWIRE_BIND", format!("localhost:{port}"));
        }
        command.env("BLENDER_USER_RESOURCES", &resources).env("XDG_RUNTIME_DIR", folder.path());
        command.env("BLENDWIRE_CONFIG_DIR", folder.path().join("config")).env("BLENDWIRE_STATE_DIR", &state);
        command.envs(settings.variables.iter().cloned());
        let process = Process::start(&mut command, &folder.path().join("blender.log"))?;
        let mut blender = Self { flavour, port, process, resources, state, folder, display };
        match &settings.reached_at {
            Some(address) => blender.wait_until_reached(address)?,
            None => blender.wait_until_ready()?,
        }
        Ok(blender)
    }

    /// Waits until somebody takes connections there.
    fn wait_until_reached(&mut self, address: &str) -> Result<()> {
        let port = self.port;
        self.wait("Blender to listen", || std::net::TcpStream::connect((address, port)).is_ok())
    }

    /// Waits until `/health` says that it takes requests, and `/status` that it is this one.
    ///
    /// # Errors
    /// With what it printed, when it ends or takes too long.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let (port, pid) = (self.port, self.process.pid());
        self.wait("Blender to take requests", || {
            matches!(http(port, "GET /health", ""), Ok((200, _))) && is_served_by(pid, port)
        })
    }

    fn wait(&mut self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let waited = wait_until(what, START_WITHIN, || {
            if let Some(status) = self.process.try_wait() {
                return Some(Err(anyhow::anyhow!("Blender ended: {status}")));
            }
            is_so().then_some(Ok(()))
        });
        waited.and_then(|waited| waited).with_context(|| format!("its output:\n{}", self.process.output()))
    }

    /// A new connection.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn wire(&self) -> Result<Wire> {
        Wire::connect(self.port)
    }

    /// Runs code over a new connection; it must end well.
    ///
    /// # Errors
    /// With the traceback.
    pub fn result(&self, code: &str) -> Result<serde_json::Value> {
        self.wire()?.result(code)
    }

    /// A path in the test's own folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The same command run by another user, who gets the folder.
fn as_user(user: &str, command: &Command, folder: &Path) -> Result<Command> {
    let owned = Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(folder).status()?;
    ensure!(owned.success(), "cannot give {} away", folder.display());
    let mut other = Command::new("setpriv");
    // What was provided may lie in a home folder that only its owner may enter.
    other.args(["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps", "+dac_read_search"]);
    other.args(["--ambient-caps", "+dac_read_search"]).arg(command.get_program());
    other.args(command.get_args()).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(current) = command.get_current_dir() {
        other.current_dir(current);
    }
    Ok(other)
}

/// `python -m blendwire` with the add-on unpacked next to it.
fn module(python: &Path, environment: &Environment, folder: &Path, port: u16) -> Result<Command> {
    let addon = folder.join("addon");
    let kind = Kind::Unpacked { zip: environment.addon_zip.clone() };
    environment.templates.copy(&kind, &addon, |into| unpack(&environment.addon_zip, into, python))?;
    let mut command = Command::new(python);
    command.args(["-m", "blendwire", "--port", &port.to_string()]).env("PYTHONPATH", addon).current_dir(folder);
    Ok(command)
}

fn unpack(zip: &Path, into: &Path, python: &Path) -> Result<()> {
    let done = Command::new(python).args(["-m", "zipfile", "-e"]).arg(zip).arg(into).status()?;
    ensure!(done.success(), "cannot unpack {}", zip.display());
    Ok(())
}

fn windowed(environment: &Environment, display: &str, settings: &Settings) -> Result<Command> {
    let mut command = Command::new(&environment.blender);
    if !environment.has_extensions()? {
        // Nothing but a click chooses a tab of the sidebar there.
        command.arg("--enable-event-simulate");
    }
    command.args(&settings.blender_arguments);
    // The splash would lie over the panel, and a fixed size makes pictures comparable. Without a graphics card the
    // viewport's anti-aliasing keeps the main thread busy for seconds after each change. What lies under the pointer would
    // explain itself in some of the pictures.
    let (width, height) = if settings.large_window { ("1600", "1000") } else { ("800", "600") };
    command.args(["--window-geometry", "0", "0", width, height, "--python-expr"]);
    let quiet = "import bpy\nbpy.context.preferences.view.show_splash = False\n\
        bpy.context.preferences.view.show_tooltips = False\n\
        bpy.context.preferences.system.viewport_aa = 'OFF'";
    command.arg(match &settings.python_expr {
        Some(more) => format!("{quiet}\n{more}"),
        None => quiet.to_owned(),
    });
    command.env("DISPLAY", display).env("LIBGL_ALWAYS_SOFTWARE", "1");
    Ok(command)
}

/// The settings of a Blender that the add-on was installed in.
fn with_addon(environment: &Environment, resources: &Path, settings: &Settings) -> Result<()> {
    if resources.exists() {
        return Ok(());
    }
    let (blender, zip) = (environment.blender.clone(), environment.addon_zip.clone());
    let is_legacy = settings.legacy || !environment.has_extensions()?;
    let kind = if is_legacy { Kind::Legacy { blender, zip } } else { Kind::Extension { blender, zip } };
    environment.templates.copy(&kind, resources, |into| install(environment, into, is_legacy))
}

/// Installs and enables the add-on as a user would, by Blender's own means.
fn install(environment: &Environment, resources: &Path, is_legacy: bool) -> Result<()> {
    fs_err::create_dir_all(resources)?;
    let mut command = Command::new(&environment.blender);
    command.env("BLENDER_USER_RESOURCES", resources);
    if is_legacy {
        let zip = serde_json::to_string(&environment.addon_zip)?;
        let install = format!(
            "import bpy\nbpy.ops.preferences.addon_install(filepath={zip})\n\
             bpy.ops.preferences.addon_enable(module='blendwire')\nbpy.ops.wm.save_userpref()"
        );
        command.args(["--background", "--python-exit-code", "1", "--python-expr", &install]);
    } else {
        command
            .args(["--command", "extension", "install-file", "-r", "user_default", "-e"])
            .arg(&environment.addon_zip);
    }
    let done = command.output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "Blender did not install the add-on:\n{said}");
    Ok(())
}
