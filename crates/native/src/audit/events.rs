// SPDX-License-Identifier: GPL-3.0-or-later
//! Python's audit events, as files, processes and hosts. Their names and arguments are in Python's documentation ("Audit
//! events table"). What a library does by means of others that are here is left out: `shutil` opens files, `http.client`
//! looks hosts up.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::Path;

use blendwire_journal::Deed::{self, FileRemoved, FileWritten, Host, Process};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

/// Beyond this many arguments a command line is cut.
const MOST_ARGUMENTS: usize = 50;

type Arguments<'a, 'py> = &'a Bound<'py, PyTuple>;

/// Tells `note` what the event means, if anything.
pub(super) fn read(event: &str, arguments: Arguments<'_, '_>, note: impl FnMut(Deed, &str)) -> PyResult<()> {
    let note = RefCell::new(note);
    let note = |deed, what: &str| (note.borrow_mut())(deed, what);
    let file = |deed, at: usize, folder: Option<usize>| -> PyResult<()> {
        let Some(path) = path(&arguments.get_item(at)?)? else { return Ok(()) };
        let folder = folder.and_then(|folder| arguments.get_item(folder).ok()?.extract::<i32>().ok());
        if !is_no_file(&path) {
            note(deed, &absolute(path, folder.filter(|folder| *folder >= 0)));
        }
        Ok(())
    };
    let say = |deed, text: Option<String>| {
        if let Some(text) = text {
            note(deed, &text);
        }
    };
    match event {
        "open" if is_for_writing(arguments)? && is_place_unknown(arguments)? => {
            say(FileWritten, path(&arguments.get_item(0)?)?.map(|path| seen_from_somewhere(&path)));
        }
        "open" if is_for_writing(arguments)? => file(FileWritten, 0, None)?,
        "os.remove" | "os.rmdir" => file(FileRemoved, 0, Some(1))?,
        "os.rename" => {
            file(FileRemoved, 0, Some(2))?;
            file(FileWritten, 1, Some(3))?;
        }
        "os.link" => {
            // By its second name the file itself can be written.
            file(FileWritten, 0, Some(2))?;
            file(FileWritten, 1, Some(3))?;
        }
        "os.symlink" => file(FileWritten, 1, Some(2))?,
        "os.mkdir" | "os.chmod" => file(FileWritten, 0, Some(2))?,
        "os.chown" | "os.utime" => file(FileWritten, 0, Some(3))?,
        "os.truncate" | "os.setxattr" | "os.removexattr" | "os.chflags" | "sqlite3.connect" => {
            file(FileWritten, 0, None)?;
        }
        "subprocess.Popen" | "os.exec" | "os.posix_spawn" => say(Process, command_line(&arguments.get_item(1)?)?),
        "os.spawn" => say(Process, command_line(&arguments.get_item(2)?)?),
        "os.system" | "os.startfile" | "pty.spawn" => say(Process, command_line(&arguments.get_item(0)?)?),
        "_winapi.CreateProcess" => say(Process, text(&arguments.get_item(1)?)),
        "webbrowser.open" => say(Process, text(&arguments.get_item(0)?).map(|url| format!("browser {url}"))),
        "os.fork" | "os.forkpty" => note(Process, "fork of Blender"),
        "os.kill" | "os.killpg" => {
            let (whom, signal): (i64, i32) = (arguments.get_item(0)?.extract()?, arguments.get_item(1)?.extract()?);
            note(Process, &format!("signal {signal} to process {whom}"));
        }
        "socket.connect" | "socket.sendto" | "socket.sendmsg" => say(Host, address(&arguments.get_item(1)?)?),
        "socket.bind" => say(Host, address(&arguments.get_item(1)?)?.map(|at| format!("listens on {at}"))),
        "socket.getaddrinfo" => say(Host, endpoint(&arguments.get_item(0)?, &arguments.get_item(1)?)),
        "socket.gethostbyname" | "socket.gethostbyaddr" => say(Host, text(&arguments.get_item(0)?)),
        "socket.getnameinfo" => say(Host, address(&arguments.get_item(0)?)?),
        _ => {}
    }
    Ok(())
}

/// `open` of the built-in has a mode, that of `os` has flags.
fn is_for_writing(arguments: Arguments<'_, '_>) -> PyResult<bool> {
    /// `O_WRONLY` and `O_RDWR`, the same everywhere.
    const WRITES: i32 = 0b11;
    #[cfg(unix)]
    const CREATES: i32 = libc::O_CREAT | libc::O_TRUNC;
    #[cfg(not(unix))]
    const CREATES: i32 = 0x100 | 0x200;
    if let Ok(mode) = arguments.get_item(1)?.cast::<PyString>() {
        return Ok(mode.to_string_lossy().contains(['w', 'a', 'x', '+']));
    }
    Ok(arguments.get_item(2)?.extract::<i32>()? & (WRITES | CREATES) != 0)
}

/// `os.open` may be given a folder that is open, and Python does not tell of it: where a relative path leads is not known
/// then. The built-in, which has a mode, takes no such folder.
fn is_place_unknown(arguments: Arguments<'_, '_>) -> PyResult<bool> {
    let has_folder = cfg!(unix) && arguments.get_item(1)?.is_none();
    Ok(has_folder
        && path(&arguments.get_item(0)?)?.is_some_and(|path| !path.is_empty() && Path::new(&path).is_relative()))
}

/// A path for the journal that is not made absolute: that would name a file that was perhaps not written. To the guard
/// rules it is in no folder.
fn seen_from_somewhere(path: &str) -> String {
    let working = std::env::current_dir().unwrap_or_default();
    format!("{path} (seen from {} or from an open folder)", working.display())
}

fn is_no_file(path: &str) -> bool {
    let nowhere = if cfg!(windows) { "nul" } else { "/dev/null" };
    path.is_empty() || path == ":memory:" || path.eq_ignore_ascii_case(nowhere)
}

/// `None` for a file that is open already.
fn path(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if let Some(text) = text(value) {
        return Ok(Some(text));
    }
    if value.extract::<i64>().is_ok() || value.is_none() {
        return Ok(None);
    }
    Ok(text(&value.call_method0("__fspath__")?))
}

fn text(value: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return Some(text.to_string_lossy().into_owned());
    }
    value.cast::<PyBytes>().ok().map(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned())
}

/// As seen from the folder that is open under this number, or from the process's own.
fn absolute(path: String, folder: Option<i32>) -> String {
    if cfg!(target_os = "linux")
        && let Some(folder) = folder
        && let Ok(folder) = std::fs::read_link(format!("/proc/self/fd/{folder}"))
    {
        return folder.join(path).display().to_string();
    }
    std::path::absolute(&path).map_or(path, |path| path.display().to_string())
}

/// A command as text, or its arguments with those quoted that would else not be told apart.
fn command_line(command: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if let Some(text) = path(command).ok().flatten() {
        return Ok(Some(text));
    }
    let mut line = String::new();
    for argument in command.try_iter()?.take(MOST_ARGUMENTS) {
        let argument = path(&argument?)?.unwrap_or_default();
        let blank = if line.is_empty() { "" } else { " " };
        let needs_quotes =
            argument.is_empty() || argument.contains(|c: char| c.is_whitespace() || "'\"\\$".contains(c));
        let _ = if needs_quotes { write!(line, "{blank}{argument:?}") } else { write!(line, "{blank}{argument}") };
    }
    Ok(Some(line))
}

/// The address of a socket: a pair that begins with host and port, or a path; others are not hosts.
fn address(address: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if let Some(path) = text(address) {
        return Ok(Some(format!("unix:{}", path.replace('\0', "@"))));
    }
    let Ok(pair) = address.cast::<PyTuple>() else { return Ok(None) };
    Ok(if pair.len() < 2 { None } else { endpoint(&pair.get_item(0)?, &pair.get_item(1)?) })
}

fn endpoint(host: &Bound<'_, PyAny>, port: &Bound<'_, PyAny>) -> Option<String> {
    let host = text(host)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    match port.extract::<u16>().ok().filter(|port| *port > 0).map(|port| port.to_string()).or_else(|| text(port)) {
        Some(port) => Some(format!("{host}:{port}")),
        None => Some(host),
    }
}
