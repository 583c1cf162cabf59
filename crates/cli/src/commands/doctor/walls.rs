// SPDX-License-Identifier: GPL-3.0-or-later
//! The firewalls of the systems: which are active on this machine, and what opens a port in each. Nothing is changed, and
//! nobody is asked for a password.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::rules::{self, Drops, Tables};

/// One that lets packets in or not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wall {
    Ufw,
    Firewalld,
    Iptables,
    /// By this chain.
    Nft(Chain),
    /// That of Windows.
    Defender,
    /// That of macOS, which goes by programs.
    Application,
}

/// A chain of nft's that incoming packets pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    family: String,
    table: String,
    name: String,
}

/// What is known of this machine.
#[derive(Default)]
pub(super) struct Here {
    /// Those that are active, and drop what they are not told to let in.
    pub(super) walls: Vec<Wall>,
    /// Those that drop something, which may be what is sent to the port.
    pub(super) suspects: Vec<Wall>,
    /// Commands that show more to root.
    pub(super) hidden: Vec<&'static str>,
}

/// That of macOS.
const SOCKETFILTERFW: &str = "/usr/libexec/ApplicationFirewall/socketfilterfw";

impl Wall {
    /// What people call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
            Self::Iptables => "iptables",
            Self::Nft(_) => "nft",
            Self::Defender => "Windows Defender Firewall",
            Self::Application => "macOS' application firewall",
        }
    }

    /// The command that lets a TCP port through.
    pub(super) fn opened(&self, port: u16) -> String {
        match self {
            Self::Ufw => format!("sudo ufw allow {port}/tcp"),
            Self::Firewalld => {
                format!("sudo firewall-cmd --permanent --add-port={port}/tcp && sudo firewall-cmd --reload")
            }
            Self::Iptables => format!("sudo iptables -I INPUT -p tcp --dport {port} -j ACCEPT"),
            Self::Nft(Chain { family, table, name }) => {
                format!("sudo nft insert rule {family} {table} {name} tcp dport {port} accept")
            }
            Self::Defender => format!(
                "netsh advfirewall firewall add rule name=Blendwire dir=in action=allow protocol=TCP localport={port} (in a \
                 terminal that was started as administrator)"
            ),
            Self::Application => format!(
                "sudo {SOCKETFILTERFW} --add /Applications/Blender.app && sudo {SOCKETFILTERFW} --unblockapp \
                 /Applications/Blender.app"
            ),
        }
    }

    /// The command that shows its rules, where those are for the user to read.
    pub(super) fn shown(&self) -> Option<&'static str> {
        match self {
            Self::Iptables => Some("sudo iptables -S"),
            Self::Nft(_) => Some("sudo nft list ruleset"),
            _ => None,
        }
    }

    /// The command that lets through what this machine sends to an address of its own, where that is not always let
    /// through.
    pub(super) fn opened_to_itself(&self) -> Option<String> {
        match self {
            Self::Iptables => Some("sudo iptables -I INPUT -i lo -j ACCEPT".to_owned()),
            Self::Nft(Chain { family, table, name }) => {
                Some(format!("sudo nft insert rule {family} {table} {name} iif lo accept"))
            }
            _ => None,
        }
    }
}

impl Chain {
    /// That of the example which nft comes with.
    pub(super) fn usual() -> Self {
        Self { family: "inet".to_owned(), table: "filter".to_owned(), name: "input".to_owned() }
    }
}

impl Here {
    /// Looks for what is in the way of connections to this port, at these addresses where any are known.
    pub(super) fn look(port: u16, addresses: &[SocketAddr]) -> Self {
        match std::env::consts::OS {
            "windows" => Self::windows(),
            "macos" => Self::macos(),
            _ => Self::linux(port, addresses),
        }
    }

    fn windows() -> Self {
        // netsh says it in the language of the system.
        let profiles = said("powershell", &["-NoProfile", "-Command", "(Get-NetFirewallProfile).Enabled"]);
        let is_on = profiles.is_some_and(|output| text(&output).lines().any(|line| line.trim() == "True"));
        Self { walls: is_on.then_some(Wall::Defender).into_iter().collect(), ..Self::default() }
    }

    fn macos() -> Self {
        let state = said(SOCKETFILTERFW, &["--getglobalstate"]);
        let is_on = state.is_some_and(|output| ["State = 1", "State = 2"].iter().any(|on| text(&output).contains(on)));
        Self { walls: is_on.then_some(Wall::Application).into_iter().collect(), ..Self::default() }
    }

    fn linux(port: u16, addresses: &[SocketAddr]) -> Self {
        let mut here = Self::default();
        let is_any = |is_so: fn(&SocketAddr) -> bool| addresses.is_empty() || addresses.iter().any(is_so);
        let (ipv4, ipv6) = (is_any(SocketAddr::is_ipv4), is_any(SocketAddr::is_ipv6));
        let mut tables = Tables { ipv4, ipv6, but_iptables: false };
        if std::fs::read_to_string("/etc/ufw/ufw.conf").is_ok_and(|conf| is_ufw_on(&conf)) {
            here.walls.push(Wall::Ufw);
        }
        if said("firewall-cmd", &["--state"]).is_some_and(|output| output.status.success()) {
            here.walls.push(Wall::Firewalld);
        }
        // These two make rules of the others, which are better left to them.
        // The rules of iptables are those for IPv4.
        if here.walls.is_empty() && ipv4 {
            tables.but_iptables = here.ask("iptables", &["-S"], "sudo iptables -S", |rules| {
                rules::by_iptables(rules, port).map(|drops| (Wall::Iptables, drops))
            });
        }
        if here.walls.is_empty() {
            here.ask("nft", &["-j", "list", "ruleset"], "sudo nft list ruleset", |rules| {
                let ([family, table, name], drops) = rules::by_nft(rules, port, tables)?;
                Some((Wall::Nft(Chain { family, table, name }), drops))
            });
        }
        here
    }

    /// Gives whether the program has told its rules.
    fn ask(
        &mut self,
        program: &str,
        arguments: &[&str],
        as_root: &'static str,
        wall: impl Fn(&str) -> Option<(Wall, Drops)>,
    ) -> bool {
        let Some(output) = said(program, arguments) else { return false };
        if !output.status.success() {
            self.hidden.push(as_root);
            return false;
        }
        match wall(&text(&output)) {
            Some((wall, Drops::Plainly)) => self.walls.push(wall),
            Some((wall, Drops::Perhaps)) => self.suspects.push(wall),
            None => {}
        }
        true
    }
}

/// What a program said; `None` where there is none.
fn said(program: &str, arguments: &[&str]) -> Option<Output> {
    // These are not on everybody's PATH.
    let sbin = Path::new("/usr/sbin").join(program);
    [Path::new(program), &sbin].iter().find_map(|program| {
        let mut command = Command::new(program);
        command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.output().ok()
    })
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_ufw_on(conf: &str) -> bool {
    conf.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_opened_by_its_names() {
        let chain = Chain { family: "inet".to_owned(), table: "wall".to_owned(), name: "incoming".to_owned() };
        assert_eq!(Wall::Nft(chain).opened(9876), "sudo nft insert rule inet wall incoming tcp dport 9876 accept");
    }

    #[test]
    fn ufw_says_whether_it_is_on() {
        assert!(is_ufw_on("# Set to yes to start on boot.\nENABLED=yes\nLOGLEVEL=low\n"));
        assert!(!is_ufw_on("# ENABLED=yes\nENABLED=no\n"));
    }
}
