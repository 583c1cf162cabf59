// SPDX-License-Identifier: GPL-3.0-or-later
//! The firewalls of the systems: which are active on this machine, and what opens a port in each. Nothing is changed, and
//! nobody is asked for a password.

use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    /// Those that are active, and drop something.
    pub(super) walls: Vec<Wall>,
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
    /// Looks.
    pub(super) fn look() -> Self {
        match std::env::consts::OS {
            "windows" => Self::windows(),
            "macos" => Self::macos(),
            _ => Self::linux(),
        }
    }

    fn windows() -> Self {
        // netsh says it in the language of the system.
        let profiles = said("powershell", &["-NoProfile", "-Command", "(Get-NetFirewallProfile).Enabled"]);
        let is_on = profiles.is_some_and(|output| text(&output).lines().any(|line| line.trim() == "True"));
        Self { walls: is_on.then_some(Wall::Defender).into_iter().collect(), hidden: Vec::new() }
    }

    fn macos() -> Self {
        let state = said(SOCKETFILTERFW, &["--getglobalstate"]);
        let is_on = state.is_some_and(|output| ["State = 1", "State = 2"].iter().any(|on| text(&output).contains(on)));
        Self { walls: is_on.then_some(Wall::Application).into_iter().collect(), hidden: Vec::new() }
    }

    fn linux() -> Self {
        let mut here = Self::default();
        if std::fs::read_to_string("/etc/ufw/ufw.conf").is_ok_and(|conf| is_ufw_on(&conf)) {
            here.walls.push(Wall::Ufw);
        }
        if said("firewall-cmd", &["--state"]).is_some_and(|output| output.status.success()) {
            here.walls.push(Wall::Firewalld);
        }
        // These two make rules of the others, which are better left to them.
        if here.walls.is_empty() {
            here.ask("iptables", &["-S", "INPUT"], "sudo iptables -S INPUT", |rules| {
                drops_by_iptables(rules).then_some(Wall::Iptables)
            });
        }
        if here.walls.is_empty() {
            here.ask("nft", &["list", "ruleset"], "sudo nft list ruleset", |rules| {
                dropping_chain(rules).map(Wall::Nft)
            });
        }
        here
    }

    fn ask(&mut self, program: &str, arguments: &[&str], as_root: &'static str, wall: impl Fn(&str) -> Option<Wall>) {
        match said(program, arguments) {
            Some(output) if output.status.success() => self.walls.extend(wall(&text(&output))),
            Some(_) => self.hidden.push(as_root),
            None => {}
        }
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

fn drops_by_iptables(rules: &str) -> bool {
    let drops = ["-P INPUT DROP", "-j DROP", "-j REJECT"];
    rules.lines().any(|rule| drops.iter().any(|drop| rule.contains(drop)))
}

/// The first chain of incoming packets that drops some.
fn dropping_chain(rules: &str) -> Option<Chain> {
    let (mut table, mut chain, mut is_incoming) = (None, None, false);
    for line in rules.lines() {
        let words: Vec<_> = line.split_whitespace().map(|word| word.trim_end_matches(';')).collect();
        match words.as_slice() {
            ["table", family, name, "{"] => (table, chain, is_incoming) = (Some((*family, *name)), None, false),
            ["}"] => is_incoming = false,
            ["chain", name, "{"] => (chain, is_incoming) = (Some(*name), false),
            ["type", "filter", "hook", hook, ..] => is_incoming = *hook == "input",
            _ => {}
        }
        if is_incoming && words.iter().any(|word| ["drop", "reject"].contains(word)) {
            let ((family, table), name) = (table?, chain?);
            return Some(Chain { family: family.to_owned(), table: table.to_owned(), name: name.to_owned() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `nft list ruleset` prints it.
    const RULES: &str = "\
table ip nat {
\tchain PREROUTING {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t}
}
table inet wall {
\tset banned {
\t\ttype ipv4_addr
\t}

\tchain onward {
\t\ttype filter hook forward priority filter; policy drop;
\t}

\tchain incoming {
\t\ttype filter hook input priority filter; policy accept;
\t\tct state established,related accept
\t\ttcp dport 22 accept
\t\tcounter packets 3 bytes 180 drop
\t}
}
";

    #[test]
    fn the_chain_that_drops_what_comes_in_is_the_one_to_open() {
        let chain = dropping_chain(RULES).unwrap();
        assert_eq!(Wall::Nft(chain).opened(9876), "sudo nft insert rule inet wall incoming tcp dport 9876 accept");
        assert_eq!(dropping_chain(&RULES.replace("180 drop", "180 accept")), None);
        assert_eq!(
            dropping_chain(&RULES.replace("filter; policy accept", "filter; policy drop")).unwrap().name,
            "incoming"
        );
    }

    #[test]
    fn the_others_say_whether_they_are_on() {
        assert!(is_ufw_on("# Set to yes to start on boot.\nENABLED=yes\nLOGLEVEL=low\n"));
        assert!(!is_ufw_on("# ENABLED=yes\nENABLED=no\n"));
        assert!(drops_by_iptables("-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n"));
        assert!(drops_by_iptables("-P INPUT ACCEPT\n-A INPUT -j REJECT --reject-with icmp-port-unreachable\n"));
        assert!(!drops_by_iptables("-P INPUT ACCEPT\n"));
    }
}
