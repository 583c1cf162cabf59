// SPDX-License-Identifier: GPL-3.0-or-later
//! What ssh says when it does not work, and what to do about it.

use anyhow::anyhow;

/// Why there is no connection (any more).
#[derive(Debug, PartialEq)]
pub(super) struct Trouble {
    /// In ssh's words.
    pub(super) said: String,
    /// What to do; may be empty.
    advice: String,
    /// Trying again cannot help.
    pub(super) is_final: bool,
}

impl Trouble {
    pub(super) fn into_error(self) -> anyhow::Error {
        let Self { said, advice, .. } = self;
        if advice.is_empty() { anyhow!("ssh: {said}") } else { anyhow!("ssh: {said}: {advice}") }
    }
}

/// What `lines` of ssh's mean, which was to go there. `asks_nothing` is how it was run without a terminal.
pub(super) fn explain(lines: &[String], destination: &str, local_port: u16, asks_nothing: bool) -> Trouble {
    let host = destination.rsplit_once('@').map_or(destination, |(_, host)| host);
    // A key that cannot be read is one of several, and a port that does not open over there is no trouble of ssh's.
    let is_of_ssh = |line: &&String| !line.contains("open failed") && !line.contains("Load key");
    let said =
        |marks: &[&str]| lines.iter().rev().filter(is_of_ssh).find(|line| marks.iter().any(|mark| line.contains(mark)));
    let trouble = |said: &str, advice: String, is_final| Trouble { said: said.trim().to_owned(), advice, is_final };
    if said(&["REMOTE HOST IDENTIFICATION HAS CHANGED"]).is_some() {
        // It knows by which name, port and file; not all of them say it.
        let removal = said(&["ssh-keygen "]).filter(|line| line.contains(" -R "));
        let removal = removal.map_or_else(|| format!("ssh-keygen -R {host}"), |line| line.trim().to_owned());
        return trouble(
            "the key of that machine is not the one that is known",
            format!(
                "it was installed anew, or somebody is in between. Compare its fingerprint with that machine's \
                 (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then take the old one out: {removal}"
            ),
            true,
        );
    }
    if let Some(line) = said(&["Host key verification failed"]) {
        let advice =
            format!("this machine does not know that one yet: run `ssh {destination}` in a terminal once, and say yes");
        return trouble(line, advice, true);
    }
    if let Some(line) = said(&["Permission denied", "Too many authentication failures", "no mutual signature"]) {
        let mut advice = format!(
            "it does not let this user in: try `ssh {destination}`; a key is set up with `ssh-copy-id {destination}`, another \
             one is given with -- -i FILE"
        );
        if asks_nothing {
            advice += "; without a terminal no password is asked for";
        }
        return trouble(line, advice, true);
    }
    if let Some(line) = said(&["Bad configuration option", "unknown option", "Bad owner or permissions", "usage: ssh"])
    {
        return trouble(line, "look at what follows -- and at ~/.ssh/config".to_owned(), true);
    }
    if let Some(line) = said(&["Could not request local forwarding", "Address already in use", "cannot listen to port"])
    {
        let advice = format!("port {local_port} of this machine is taken: give another with --local-port");
        return trouble(line, advice, false);
    }
    if let Some(line) = said(&["Could not resolve hostname"]) {
        return trouble(line, format!("is {host} spelt right, and is this machine online?"), false);
    }
    if let Some(line) = said(&["Connection refused"]) {
        let advice = "no ssh server listens there: start it, or give its port with -- -p PORT".to_owned();
        return trouble(line, advice, false);
    }
    if let Some(line) = said(&["timed out", "No route to host", "Network is unreachable", "not responding"]) {
        return trouble(line, "that machine cannot be reached: is it on, and is a firewall between?".to_owned(), false);
    }
    let last = lines.iter().rev().find(|line| !line.trim().is_empty());
    trouble(last.map_or("it ended and said nothing", String::as_str), String::new(), false)
}

/// Why the other end of the tunnel leads nowhere, where ssh has said so.
pub(super) fn leads_nowhere(lines: &[String], destination: &str, remote_port: u16) -> Option<anyhow::Error> {
    let line = lines.iter().rev().find(|line| line.contains("open failed"))?;
    if line.contains("administratively prohibited") {
        return Some(anyhow!(
            "the ssh server of {destination} forwards no ports ({}): its administrator allows it with AllowTcpForwarding in \
             sshd_config",
            line.trim()
        ));
    }
    Some(anyhow!(
        "nothing listens at port {remote_port} of {destination}: start Blender there (`ssh {destination} blendwire launch \
         --background`, or in its 3D View press N, tab MCP, Start), or give the port that it shows with --port"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(lines: &[&str]) -> Trouble {
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        explain(&lines, "me@render7", 9876, true)
    }

    #[test]
    fn what_trying_again_cannot_mend_is_final() {
        let changed = explained(&[
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
            "Host key verification failed.",
        ]);
        assert!(changed.is_final && changed.advice.ends_with("out: ssh-keygen -R render7"), "{changed:?}");
        let at_another_port = explained(&[
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
            "  remove with:\r",
            "  ssh-keygen -f '~/.ssh/known_hosts' -R '[render7]:2222'\r",
            "Host key verification failed.\r",
        ]);
        assert!(at_another_port.advice.ends_with(" -R '[render7]:2222'"), "{at_another_port:?}");
        let unknown = explained(&["No ED25519 host key is known for render7", "Host key verification failed."]);
        assert!(unknown.is_final && unknown.advice.contains("`ssh me@render7` in a terminal"), "{unknown:?}");
        assert!(explained(&["me@render7: Permission denied (publickey)."]).is_final);
        assert!(explained(&["command-line: line 0: Bad configuration option: x"]).is_final);
        assert!(!explained(&["ssh: connect to host render7 port 22: Connection refused"]).is_final);
        assert!(!explained(&["Timeout, server render7 not responding."]).is_final);
        // Of what was said hours before.
        assert!(!explained(&["Load key \"a\": Permission denied", "Timeout, server render7 not responding."]).is_final);
        let closed = ["channel 2: open failed: connect failed: Connection refused", "client_loop: send disconnect"];
        assert_eq!(explained(&closed).said, "client_loop: send disconnect");
        assert_eq!(
            explained(&["Connection to render7 closed by remote host.", ""]).said,
            "Connection to render7 closed by remote host."
        );
        assert!(explained(&[]).into_error().to_string().contains("said nothing"));
    }

    #[test]
    fn the_other_end_may_lead_nowhere() {
        let told = |line: &str| leads_nowhere(&[line.to_owned()], "me@render7", 9876).map(|error| error.to_string());
        let refused = told("channel 2: open failed: connect failed: Connection refused").unwrap();
        assert!(refused.contains("nothing listens at port 9876 of me@render7"), "{refused}");
        let prohibited = told("channel 2: open failed: administratively prohibited: open failed").unwrap();
        assert!(prohibited.contains("AllowTcpForwarding"), "{prohibited}");
        assert_eq!(told("Warning: Permanently added"), None);
    }
}
