// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire tunnel` through a real ssh server: this machine is both ends.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Process, Settings, free_port, wait_until};
use serde_json::Value;
use tempfile::TempDir;

use crate::suite::Suite;

/// Whatever ssh does here takes a second, on a busy machine too.
const SOON: Duration = Duration::from_mins(1);

pub(crate) fn add(suite: &mut Suite) {
    suite.own("tunnel::carries_calls_and_comes_back_when_it_is_cut", cut);
    suite.own("tunnel::says_what_is_wrong", wrong);
    suite.own("tunnel::doctor_names_one_that_leads_nowhere", doctor);
}

/// An ssh server with keys of its own, which lets in whoever runs the test.
struct Server {
    folder: TempDir,
    process: Process,
    port: u16,
}

impl Server {
    fn start(environment: &Environment) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("blendwire-test-").tempdir()?;
        let path = |name: &str| folder.path().join(name);
        for name in ["host", "key", "other"] {
            let mut keygen = Command::new("ssh-keygen");
            let done = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(name)).status()?;
            ensure!(done.success(), "no key");
        }
        let port = free_port()?;
        let public = |name: &str| fs_err::read_to_string(path(&format!("{name}.pub")));
        fs_err::write(path("authorized"), public("key")?)?;
        for (name, key) in [("known", "host"), ("changed", "other")] {
            fs_err::write(path(name), format!("[127.0.0.1]:{port} {}", public(key)?))?;
        }
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
            path("host").display(),
            path("authorized").display()
        );
        fs_err::write(path("sshd_config"), config)?;
        let mut command = Command::new(&environment.sshd);
        command.args(["-D", "-e", "-f"]).arg(path("sshd_config"));
        let log = path("sshd.log");
        let process = Process::start(&mut command, &log)?;
        let server = Self { folder, process, port };
        wait_until("the ssh server", SOON, || TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()))
            .with_context(|| server.process.output())?;
        Ok(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What ssh is told to get there with this key, and with this file of known hosts. Nothing of the user's counts.
    fn options(&self, key: &str, known: &str) -> Vec<String> {
        let mut options: Vec<String> =
            ["-F", "/dev/null", "-p", &self.port.to_string(), "-i"].map(str::to_owned).to_vec();
        options.push(self.path(key).display().to_string());
        for option in [
            format!("UserKnownHostsFile={}", self.path(known).display()),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
        ] {
            options.extend(["-o".to_owned(), option]);
        }
        options
    }

    /// Kills what serves the connections, as a network that breaks ends them, and leaves the listener.
    fn cut(&self) -> Result<usize> {
        let mut killed = 0;
        let mut parents = vec![self.process.pid()];
        while let Some(parent) = parents.pop() {
            let children = fs_err::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
            for child in children.split_whitespace() {
                parents.push(child.parse()?);
            }
            if parent != self.process.pid() {
                killed += usize::from(Command::new("kill").args(["-KILL", &parent.to_string()]).status()?.success());
            }
        }
        Ok(killed)
    }
}

/// A running tunnel, with its output in files. Killed when dropped.
struct Tunnel {
    child: Child,
    data: PathBuf,
    talk: PathBuf,
}

impl Tunnel {
    fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let (data, talk) = (folder.join("tunnel.out"), folder.join("tunnel.err"));
        command.stdout(fs_err::File::create(&data)?.into_file()).stderr(fs_err::File::create(&talk)?.into_file());
        Ok(Self { child: command.spawn()?, data, talk })
    }

    fn waits(&self, file: &Path, text: &str) -> Result<String> {
        let read = || fs_err::read_to_string(file).unwrap_or_default();
        let found = wait_until(text, SOON, || Some(read()).filter(|said| said.contains(text)));
        found.with_context(|| format!("{} {}", read(), fs_err::read_to_string(&self.talk).unwrap_or_default()))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn blendwire(environment: &Environment, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&environment.blendwire);
    command.args(arguments).stdin(Stdio::null()).env("BLENDWIRE_STATE_DIR", folder.join("state"));
    command.env("BLENDWIRE_CONFIG_DIR", folder.join("config")).env_remove("BLENDWIRE_TOKEN");
    for name in ["BLENDWIRE_HOST", "BLENDWIRE_PORT", "BLENDWIRE_INSTANCE"] {
        command.env_remove(name);
    }
    command
}

fn user() -> Result<String> {
    let output = Command::new("id").arg("-un").output()?;
    Ok(format!("{}@127.0.0.1", String::from_utf8(output.stdout)?.trim()))
}

fn tunnel(environment: &Environment, server: &Server, port: u16, options: &[String]) -> Result<Command> {
    let mut command = blendwire(environment, server.folder.path(), &["tunnel", &user()?, "--port", &port.to_string()]);
    command.arg("--").args(options);
    Ok(command)
}

fn cut(environment: &Environment) -> Result<()> {
    let server = Server::start(environment)?;
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let options = server.options("key", "known");
    let mut tunnel = Tunnel::start(&mut tunnel(environment, &server, blender.port, &options)?, server.folder.path())?;
    let endpoint = tunnel.waits(&tunnel.data, "\n")?;
    let port: u16 = endpoint.trim().strip_prefix("127.0.0.1:").context("no endpoint")?.parse()?;
    ensure!(port != blender.port, "it is a port of this machine, where Blender has the other");
    tunnel.waits(&tunnel.talk, &format!("BLENDWIRE_PORT={port}"))?;
    let call = || -> Result<()> {
        let exec = ["exec", "--port", &port.to_string(), "-c", "import os; result = os.getpid()"];
        let output = blendwire(environment, server.folder.path(), &exec).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(told.trim() == blender.process.pid().to_string(), "{output:?}");
        Ok(())
    };
    call()?;
    ensure!(server.cut()? > 0, "there was no session");
    tunnel.waits(&tunnel.talk, "the tunnel is up again")?;
    call()?;
    ensure!(Command::new("kill").args(["-INT", &tunnel.child.id().to_string()]).status()?.success(), "no signal");
    let status = wait_until("the tunnel to end", SOON, || tunnel.child.try_wait().ok().flatten())?;
    let talk = fs_err::read_to_string(&tunnel.talk)?;
    ensure!(status.code() == Some(0) && talk.contains("the tunnel is cut"), "{status}: {talk}");
    ensure!(fs_err::read_to_string(&tunnel.data)? == endpoint, "more than the endpoint");
    ensure!(TcpStream::connect(("127.0.0.1", port)).is_err(), "ssh still listens");
    Ok(())
}

fn wrong(environment: &Environment) -> Result<()> {
    let server = Server::start(environment)?;
    let nothing = free_port()?;
    let expect = |output: &Output, code: i32, told: &str| -> Result<()> {
        let talk = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code) && talk.contains(told), "{told:?}, {}: {talk}", output.status);
        ensure!(output.stdout.is_empty(), "{output:?}");
        Ok(())
    };
    let options = |key: &str, known: &str| server.options(key, known);
    for (options, told) in [
        (options("key", "known"), format!("nothing listens at port {nothing} of")),
        (options("other", "known"), "ssh-copy-id".to_owned()),
        (options("key", "none"), "in a terminal once".to_owned()),
        // ssh's own command, with the file and the port.
        (options("key", "changed"), format!("[127.0.0.1]:{}", server.port)),
        (
            vec!["-F".to_owned(), "/dev/null".to_owned(), "-p".to_owned(), nothing.to_string()],
            "no ssh server".to_owned(),
        ),
        (vec!["-o".to_owned(), "Nonsense=1".to_owned()], "what follows --".to_owned()),
    ] {
        expect(&tunnel(environment, &server, nothing, &options)?.output()?, 1, &told)?;
    }
    let mut missing = blendwire(environment, server.folder.path(), &["tunnel", "a@b", "--ssh", "/nowhere/ssh"]);
    expect(&missing.output()?, 2, "openssh-client")?;
    let taken = server.port.to_string();
    let mut taken = blendwire(environment, server.folder.path(), &["tunnel", "a@b", "--local-port", &taken]);
    expect(&taken.output()?, 2, "is taken: give another with --local-port")
}

fn doctor(environment: &Environment) -> Result<()> {
    let server = Server::start(environment)?;
    let (here, there) = (free_port()?, free_port()?);
    let mut ssh = Command::new("ssh");
    ssh.args(server.options("key", "known")).args(["-N", "-L", &format!("localhost:{here}:localhost:{there}")]);
    let _ssh = Process::start(ssh.arg(user()?), &server.path("ssh.log"))?;
    wait_until("the tunnel", SOON, || TcpStream::connect(("127.0.0.1", here)).is_ok().then_some(()))?;
    let found = || -> Result<Vec<Value>> {
        let arguments = ["doctor", "--json", "--port", &here.to_string(), "protocol"];
        let output = blendwire(environment, server.folder.path(), &arguments).output()?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
    };
    let of = |found: &[Value], id: &str| found.iter().find(|finding| finding["id"] == id).cloned().unwrap_or_default();
    let broken = found()?;
    let finding = of(&broken, "tunnel");
    ensure!(finding["state"] == "failure" && finding["seen"].to_string().contains("ssh"), "{finding}");
    ensure!(finding["remedies"].to_string().contains("blendwire tunnel"), "{finding}");
    ensure!(of(&broken, "protocol")["because"] == serde_json::json!(["tunnel"]), "{broken:?}");
    let settings = Settings { port: Some(there), ..Settings::default() };
    let _blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let mended = found()?;
    ensure!(of(&mended, "tunnel")["state"] == "ok" && of(&mended, "protocol")["state"] == "ok", "{mended:?}");
    Ok(())
}
