// SPDX-License-Identifier: GPL-3.0-or-later
//! Three machines in one: network namespaces, each with a cable of its own to the one in the middle.
//!
//! | Machine | Address | Of the one in the middle, there |
//! |---|---|---|
//! | `friend` | `10.99.0.2`, `fd99::2` | `10.99.0.1`, `fd99::1` |
//! | `stranger` | `10.98.0.2`, `fd98::2` | `10.98.0.1`, `fd98::1` |
//!
//! The test runs on a thread that is moved to the middle, with all the processes that it starts. It leaves nothing
//! behind: a namespace ends with the process that holds it. Nothing of the host's own network is changed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::Environment;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// One that is not in the middle. Ends when dropped.
pub(super) struct Machine {
    holder: Child,
    /// The middle's address on the cable between them.
    pub(super) server: String,
    /// The same by IPv6.
    pub(super) server_v6: String,
    /// The network of that cable.
    pub(super) network: String,
    /// The same by IPv6.
    pub(super) network_v6: String,
}

/// See the module.
pub(super) struct Machines {
    pub(super) friend: Machine,
    pub(super) stranger: Machine,
}

/// Runs `test` in the middle of new machines.
pub(super) fn on_machines<T>(environment: &Environment, test: T) -> Result<()>
where
    T: FnOnce(&Environment, &Machines) -> Result<()> + Send,
{
    std::thread::scope(|scope| {
        let test = scope.spawn(|| {
            let mut middle = hold()?;
            let moved = enter(&middle);
            let tested = moved.and_then(|()| {
                ip(&environment.ip, &["link", "set", "lo", "up"])?;
                let friend = Machine::new(&environment.ip, 99)?;
                let stranger = Machine::new(&environment.ip, 98)?;
                test(environment, &Machines { friend, stranger })
            });
            let _ = middle.kill();
            let _ = middle.wait();
            tested
        });
        test.join().map_err(|_| anyhow::anyhow!("the test panicked"))?
    })
}

impl Machine {
    fn new(program: &Path, number: u8) -> Result<Self> {
        let holder = hold()?;
        let machine = Self {
            holder,
            server: format!("10.{number}.0.1"),
            server_v6: format!("fd{number}::1"),
            network: format!("10.{number}.0.0/24"),
            network_v6: format!("fd{number}::/64"),
        };
        let (cable, pid) = (format!("cable{number}"), machine.holder.id().to_string());
        ip(program, &["link", "add", &cable, "type", "veth", "peer", "name", "cable", "netns", &pid])
            .context("other machines are made of network namespaces, which need root and a kernel with veth")?;
        let here = |arguments: &[&str]| ip(program, arguments);
        let there = |arguments: &[&str]| run(machine.command(program).args(arguments));
        // Without asking whether somebody has the address already, which takes IPv6 a second.
        here(&["address", "add", &format!("{}/24", machine.server), "dev", &cable])?;
        here(&["address", "add", &format!("{}/64", machine.server_v6), "dev", &cable, "nodad"])?;
        here(&["link", "set", &cable, "up"])?;
        there(&["address", "add", &format!("10.{number}.0.2/24"), "dev", "cable"])?;
        there(&["address", "add", &format!("fd{number}::2/64"), "dev", "cable", "nodad"])?;
        there(&["link", "set", "cable", "up"])?;
        Ok(machine)
    }

    /// `program`, run there.
    pub(super) fn command(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace(&self.holder).display())).arg("--").arg(program.into());
        command
    }

    /// Has it take nothing any more of what is sent to it, and say nothing.
    pub(super) fn fall_silent(&self, program: &Path) -> Result<()> {
        run(self.command(program).args(["address", "flush", "dev", "cable"]))
    }

    /// What `test` does there.
    pub(super) fn there<T: Send>(&self, test: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let there = scope.spawn(|| enter(&self.holder).and_then(|()| test()));
            there.join().map_err(|_| anyhow::anyhow!("the test panicked there"))?
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A process in a network namespace of its own.
fn hold() -> Result<Child> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", "echo there; exec cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("unshare is needed")?;
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().context("no stdout")?).read_line(&mut said)?;
    ensure!(said == "there\n", "a network namespace cannot be made: this needs root");
    Ok(child)
}

fn namespace(holder: &Child) -> PathBuf {
    PathBuf::from(format!("/proc/{}/ns/net", holder.id()))
}

/// Moves this thread there, for good.
fn enter(holder: &Child) -> Result<()> {
    let namespace = File::open(namespace(holder))?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn ip(program: &Path, arguments: &[&str]) -> Result<()> {
    run(Command::new(program).args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
