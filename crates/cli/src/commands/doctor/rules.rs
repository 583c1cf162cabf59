// SPDX-License-Identifier: GPL-3.0-or-later
//! What the rules of `iptables` and `nft` do with a new connection to a port. Most conditions of theirs (from where, by
//! which interface, how often) cannot be decided from outside: a rule with one of those may hold, and no more is said.

use std::collections::HashMap;

use serde_json::Value;

/// Chains call each other no deeper in the kernel.
const DEEPEST: usize = 16;

/// That a connection is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drops {
    /// By a rule or a policy that holds for it.
    Plainly,
    /// By a rule that may hold for it, or unless one that may hold lets it in before.
    Perhaps,
}

/// Whether a rule, or one condition of it, holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    No,
    /// For what this machine sends to itself, at most.
    ToItself,
    Perhaps,
    Yes,
}

#[derive(Clone)]
enum Verdict {
    Accept,
    Drop,
    Jump(String),
    Return,
}

/// The rules that may hold, by their chains, in their order.
#[derive(Default)]
struct Rules(HashMap<String, Vec<(Holds, Verdict)>>);

/// What comes of a chain.
#[derive(Default)]
struct Walked {
    /// Whether it was dropped, where one of its rules has decided.
    is_dropped: Option<bool>,
    /// Whether a rule that may hold drops it.
    may_drop: bool,
    /// Whether a rule that may hold lets it in, or passes by the one that has dropped it.
    may_accept: bool,
}

impl Rules {
    fn add(&mut self, chain: &str, holds: Holds, verdicts: impl IntoIterator<Item = Verdict>) {
        if holds != Holds::No {
            let verdicts = verdicts.into_iter().map(|verdict| (holds, verdict));
            self.0.entry(chain.to_owned()).or_default().extend(verdicts);
        }
    }

    /// What this chain does, whose policy holds where no rule has decided.
    fn drops(&self, chain: &str, by_policy: bool) -> Option<Drops> {
        let Walked { is_dropped, may_drop, may_accept } = self.walk(chain, 0);
        match is_dropped.unwrap_or(by_policy) {
            true if !may_accept => Some(Drops::Plainly),
            true => Some(Drops::Perhaps),
            false => may_drop.then_some(Drops::Perhaps),
        }
    }

    fn walk(&self, chain: &str, depth: usize) -> Walked {
        let mut walked = Walked::default();
        let mut may_return = false;
        for (holds, verdict) in self.0.get(chain).into_iter().flatten() {
            // What is only let in from this machine itself is dropped from others all the same.
            let is_for_others = *holds > Holds::ToItself;
            let is_dropped = match verdict {
                Verdict::Accept => Some(false),
                Verdict::Drop => Some(true),
                Verdict::Jump(chain) if depth < DEEPEST => {
                    let inner = self.walk(chain, depth + 1);
                    walked.may_drop |= inner.may_drop;
                    walked.may_accept |= inner.may_accept && is_for_others;
                    inner.is_dropped
                }
                Verdict::Return if *holds == Holds::Yes => break,
                Verdict::Return => {
                    may_return |= is_for_others;
                    None
                }
                Verdict::Jump(_) => None,
            };
            if *holds == Holds::Yes && is_dropped.is_some() {
                let may_accept = walked.may_accept || may_return;
                return Walked { is_dropped, may_accept, ..walked };
            }
            walked.may_drop |= is_dropped == Some(true);
            walked.may_accept |= is_dropped == Some(false) && is_for_others;
        }
        walked
    }
}

/// What the chain INPUT does, by what `iptables -S` prints.
pub(super) fn by_iptables(text: &str, port: u16) -> Option<Drops> {
    let mut rules = Rules::default();
    for line in text.lines() {
        let words = words(line);
        let [add, chain, rule @ ..] = words.as_slice() else { continue };
        if add == "-A" {
            let (holds, verdicts) = iptables_rule(rule, port);
            rules.add(chain, holds, verdicts);
        }
    }
    rules.drops("INPUT", text.lines().any(|line| line.trim() == "-P INPUT DROP"))
}

/// The words of a line, of which those in quotation marks are one.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

fn iptables_rule(rule: &[String], port: u16) -> (Holds, Vec<Verdict>) {
    let mut holds = Holds::Yes;
    let mut rest = rule.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let condition = match word {
            "-j" | "-g" => return (holds, iptables_verdicts(word, rest.next().unwrap_or_default())),
            // What loads a match, and what is no condition.
            "-m" | "--comment" => rest.next().map_or(Holds::Perhaps, |_| Holds::Yes),
            "-p" => yes(["tcp", "all"].contains(&rest.next().unwrap_or_default())),
            "--dport" | "--dports" => {
                yes(rest.next().is_some_and(|ports| ports.split(',').any(|one| is_in(one, port))))
            }
            "--state" | "--ctstate" => yes(rest.next().is_some_and(|all| all.split(',').any(|state| state == "NEW"))),
            "-i" => by_interface(rest.next() == Some("lo")),
            // Its value, or what it negates, is passed over as one more that is not known.
            _ => Holds::Perhaps,
        };
        if word == "!" {
            // What follows holds where it does not; two words later the next begins.
            let _ = (rest.next(), rest.next());
        }
        holds = holds.min(condition);
    }
    (Holds::No, Vec::new())
}

fn iptables_verdicts(how: &str, target: &str) -> Vec<Verdict> {
    match target {
        "ACCEPT" => vec![Verdict::Accept],
        "DROP" | "REJECT" => vec![Verdict::Drop],
        "RETURN" => vec![Verdict::Return],
        chain => jump(chain, how == "-g"),
    }
}

/// Into another chain, and out of this one where nothing comes back from there. A target that is no chain, as LOG, does nothing.
fn jump(chain: &str, for_good: bool) -> Vec<Verdict> {
    [Verdict::Jump(chain.to_owned())].into_iter().chain(for_good.then_some(Verdict::Return)).collect()
}

const fn yes(is_so: bool) -> Holds {
    if is_so { Holds::Yes } else { Holds::No }
}

/// Which of the others a connection comes in by is not known.
const fn by_interface(is_loopback: bool) -> Holds {
    if is_loopback { Holds::ToItself } else { Holds::Perhaps }
}

/// One port, or a range as `8000:8100`.
fn is_in(range: &str, port: u16) -> bool {
    let (first, last) = range.split_once(':').unwrap_or((range, range));
    // Either end may be left out.
    let [first, last] = [(first, 0), (last, u16::MAX)].map(|(end, left_out)| match end {
        "" => Some(left_out),
        end => end.parse().ok(),
    });
    first.zip(last).is_some_and(|(first, last)| (first..=last).contains(&port))
}

/// A chain of nft's: family, table, name.
pub(super) type ChainName = [String; 3];

/// The tables of nft that are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    /// Those for IPv4, and those for IPv6: what passes only the others is not what is asked about.
    pub(super) ipv4: bool,
    pub(super) ipv6: bool,
    /// Whether those of `iptables`, which keeps its rules in tables of nft's, are left to that: it was asked itself.
    pub(super) but_iptables: bool,
}

impl Tables {
    fn have(self, family: &str, table: &str) -> bool {
        let is_of_iptables = ["filter", "nat", "mangle", "raw", "security"].contains(&table);
        match family {
            "inet" => true,
            "ip" => self.ipv4 && !(self.but_iptables && is_of_iptables),
            // `iptables` says nothing of these, which `ip6tables` makes.
            "ip6" => self.ipv6,
            // Bridges and ARP: no connection to this machine.
            _ => false,
        }
    }
}

/// The first chain of incoming packets that drops it, by what `nft -j list ruleset` prints; one that plainly does before one
/// that perhaps does.
pub(super) fn by_nft(text: &str, port: u16, looked_at: Tables) -> Option<(ChainName, Drops)> {
    let ruleset: Value = serde_json::from_str(text).ok()?;
    let all = ruleset["nftables"].as_array()?;
    // Chains are called within their table alone.
    let mut tables: HashMap<[&str; 2], Rules> = HashMap::new();
    for rule in all.iter().filter_map(|item| item.get("rule")) {
        let [family, table, chain] = names(rule, "chain")?;
        let (holds, branches) = nft_rule(&rule["expr"], port);
        for (branch, verdicts) in branches {
            tables.entry([family, table]).or_default().add(chain, holds.min(branch), verdicts);
        }
    }
    let none = Rules::default();
    let incoming = all.iter().filter_map(|item| item.get("chain")).filter(|chain| chain["hook"] == "input");
    let dropping = incoming.filter_map(|chain| {
        let [family, table, name] = names(chain, "name").filter(|[family, table, _]| looked_at.have(family, table))?;
        let rules = tables.get(&[family, table]).unwrap_or(&none);
        Some(([family, table, name].map(str::to_owned), rules.drops(name, chain["policy"] == "drop")?))
    });
    dropping.min_by_key(|(_, drops)| *drops == Drops::Perhaps)
}

fn names<'a>(item: &'a Value, name: &str) -> Option<[&'a str; 3]> {
    Some([item["family"].as_str()?, item["table"].as_str()?, item[name].as_str()?])
}

/// Whether it holds, and what it does then; by a map, one of several things.
fn nft_rule(expressions: &Value, port: u16) -> (Holds, Vec<(Holds, Vec<Verdict>)>) {
    let mut holds = Holds::Yes;
    let parts = expressions.as_array().into_iter().flatten().filter_map(Value::as_object);
    for (kind, value) in parts.flatten() {
        if let Some(verdicts) = nft_verdicts(kind, value) {
            return (holds, vec![(Holds::Yes, verdicts)]);
        }
        holds = holds.min(match kind.as_str() {
            "counter" | "log" => Holds::Yes,
            "match" if ["==", "in"].map(Value::from).contains(&value["op"]) => {
                nft_condition(&value["left"], &value["right"], port)
            }
            "vmap" => return (holds, nft_branches(value, port)),
            _ => Holds::Perhaps,
        });
    }
    (Holds::No, Vec::new())
}

fn nft_verdicts(kind: &str, value: &Value) -> Option<Vec<Verdict>> {
    Some(match kind {
        "accept" => vec![Verdict::Accept],
        "drop" | "reject" => vec![Verdict::Drop],
        "return" => vec![Verdict::Return],
        "jump" | "goto" => jump(value["target"].as_str()?, kind == "goto"),
        _ => return None,
    })
}

fn nft_branches(map: &Value, port: u16) -> Vec<(Holds, Vec<Verdict>)> {
    let entries = map["data"]["set"].as_array().into_iter().flatten();
    let branch = |entry: &Value| {
        let (kind, value) = entry[1].as_object()?.iter().next()?;
        Some((nft_condition(&map["key"], &entry[0], port), nft_verdicts(kind, value)?))
    };
    entries.filter_map(branch).collect()
}

/// Whether what stands left of a connection to that port is what stands right.
fn nft_condition(left: &Value, right: &Value, port: u16) -> Holds {
    let payload = &left["payload"];
    match (payload["protocol"].as_str(), payload["field"].as_str()) {
        (Some("tcp" | "th"), Some("dport")) => nft_port(right, port),
        (Some("udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmpv6"), _) => Holds::No,
        (Some("ip"), Some("protocol")) | (Some("ip6"), Some("nexthdr")) => nft_protocol(right),
        _ if left["meta"]["key"] == "l4proto" => nft_protocol(right),
        _ if left["meta"]["key"] == "iif" || left["meta"]["key"] == "iifname" => by_interface(*right == "lo"),
        _ if left["ct"]["key"] == "state" => yes(one_of(right).any(|state| *state == "new")),
        _ => Holds::Perhaps,
    }
}

/// One value, or those of a list or a set.
fn one_of(value: &Value) -> impl Iterator<Item = &Value> {
    let several = value.as_array().or_else(|| value["set"].as_array());
    several.map_or_else(|| std::slice::from_ref(value), Vec::as_slice).iter()
}

fn nft_protocol(protocols: &Value) -> Holds {
    yes(one_of(protocols).any(|protocol| *protocol == "tcp" || *protocol == 6))
}

fn nft_port(ports: &Value, port: u16) -> Holds {
    let holds = one_of(ports).map(|one| match (one.as_u64(), one["range"].as_array().map(Vec::as_slice)) {
        (Some(one), _) => yes(one == u64::from(port)),
        (_, Some([first, last])) => yes((first.as_u64()..=last.as_u64()).contains(&Some(u64::from(port)))),
        // The name of a set.
        _ => Holds::Perhaps,
    });
    holds.max().unwrap_or(Holds::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Tables = Tables { ipv4: true, ipv6: true, but_iptables: false };

    /// As `iptables -S` prints them, of a machine with fail2ban.
    const IPTABLES: &str = "\
-P INPUT ACCEPT
-P FORWARD DROP
-P OUTPUT ACCEPT
-N f2b-sshd
-N services
-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p udp -m udp --dport 5353 -j REJECT --reject-with icmp-port-unreachable
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment \"no -j DROP here\" -j REJECT --reject-with tcp-reset
-A INPUT -j services
-A f2b-sshd -s 203.0.113.7/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-sshd -j RETURN
-A services -p tcp -m tcp --dport 8000:8100 -j ACCEPT
-A services -p tcp -m multiport --dports 80,443 -j ACCEPT
";

    #[test]
    fn iptables_drops_what_its_rules_are_about() {
        let drops = |more: &str| by_iptables(&format!("{IPTABLES}{more}"), 9876);
        assert_eq!(drops(""), None, "only other ports are dropped, and what is no new connection");
        assert_eq!(by_iptables(IPTABLES, 22), Some(Drops::Plainly));
        assert_eq!(drops("-A services -j REJECT --reject-with icmp-host-prohibited\n"), Some(Drops::Plainly));
        assert_eq!(drops("-A INPUT -p tcp -m tcp --dport 9876 -j DROP\n"), Some(Drops::Plainly));
        assert_eq!(drops("-A INPUT -s 192.0.2.0/24 -j DROP\n"), Some(Drops::Perhaps));
        assert_eq!(drops("-A INPUT ! -s 192.0.2.0/24 -p tcp -j DROP\n"), Some(Drops::Perhaps));
        assert_eq!(drops("-A INPUT -p tcp -m tcp ! --dport 22 -j DROP\n"), Some(Drops::Perhaps));
        assert_eq!(drops("-A services -j LOG --log-prefix \"-j DROP \"\n"), None);
        assert_eq!(drops("-A services -j services\n"), None, "the kernel refuses that; it is not followed for ever");
    }

    #[test]
    fn iptables_drops_by_policy_what_nothing_lets_in() {
        let policy = IPTABLES.replace("-P INPUT ACCEPT", "-P INPUT DROP");
        assert_eq!(by_iptables(&policy, 9876), Some(Drops::Plainly));
        assert_eq!(by_iptables(&policy, 8080), None, "let in by another chain");
        assert_eq!(by_iptables(&policy, 443), None);
        assert_eq!(by_iptables("-P INPUT ACCEPT\n", 9876), None);
        let open = "-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 9876 -j ACCEPT\n-A INPUT -j DROP\n";
        assert_eq!(by_iptables(open, 9876), None);
        let gone = "-P INPUT ACCEPT\n-A INPUT -g wan\n-A INPUT -j DROP\n-A wan -p tcp -m tcp --dport 22 -j DROP\n";
        assert_eq!(by_iptables(gone, 9876), None, "nothing comes back from there");
    }

    /// Advice to open the port to everybody is wrong where it is open to those who are meant.
    #[test]
    fn what_may_be_let_in_before_is_only_perhaps_dropped() {
        for condition in ["-s 192.168.0.0/16", "-i eth0", "--syn", "! -i lo"] {
            let accept = format!("-A INPUT {condition} -p tcp -m tcp --dport 9876 -j ACCEPT\n");
            for (policy, drop) in [("DROP", ""), ("ACCEPT", "-A INPUT -j DROP\n")] {
                let rules = format!("-P INPUT {policy}\n{accept}{drop}");
                assert_eq!(by_iptables(&rules, 9876), Some(Drops::Perhaps), "{rules}");
                assert_eq!(by_iptables(&rules, 9877), Some(Drops::Plainly), "{rules}");
            }
        }
        let called = "-P INPUT DROP\n-A INPUT -j lan\n-A lan -s 192.168.0.0/16 -j ACCEPT\n-A lan -j DROP\n";
        assert_eq!(by_iptables(called, 9876), Some(Drops::Perhaps));
        let passed_by = "-P INPUT ACCEPT\n-A INPUT -j lan\n-A lan -s 192.168.0.0/16 -j RETURN\n-A lan -j DROP\n";
        assert_eq!(by_iptables(passed_by, 9876), Some(Drops::Perhaps));
        let by_policy = "-P INPUT DROP\n-A INPUT -j lan\n-A lan -s 192.168.0.0/16 -j RETURN\n";
        assert_eq!(by_iptables(by_policy, 9876), Some(Drops::Plainly), "what returns from there is dropped too");
        let itself = "-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n";
        assert_eq!(by_iptables(itself, 9876), Some(Drops::Plainly));
        assert_eq!(by_iptables("-P INPUT ACCEPT\n-A INPUT -i lo -j DROP\n", 9876), Some(Drops::Perhaps));
    }

    #[test]
    fn only_tables_that_the_connection_passes_are_looked_at() {
        let found = |family: &str, table: &str, looked_at| {
            let chain = format!(
                r#"{{"chain": {{"family": "{family}", "table": "{table}", "name": "in", "hook": "input", "policy": "drop"}}}}"#
            );
            by_nft(&format!(r#"{{"nftables": [{chain}]}}"#), 9876, looked_at).is_some()
        };
        let (ipv4, ipv6) = (Tables { ipv6: false, ..ALL }, Tables { ipv4: false, ..ALL });
        for (family, by_ipv4, by_ipv6) in [
            ("ip", true, false),
            ("ip6", false, true),
            ("inet", true, true),
            ("arp", false, false),
            ("bridge", false, false),
        ] {
            assert_eq!((found(family, "wall", ipv4), found(family, "wall", ipv6)), (by_ipv4, by_ipv6), "{family}");
        }
        let asked = Tables { but_iptables: true, ..ALL };
        assert!(!found("ip", "filter", asked) && found("ip", "wall", asked), "iptables has told of its own");
        assert!(found("ip6", "filter", asked) && found("inet", "filter", asked), "and of nothing else");
    }

    /// As `nft -j list ruleset` prints them: those of the example that it comes with, grown.
    fn nft(policy: &str, more: &[&str]) -> String {
        let rule = |chain: &str, expressions: &str| {
            format!(
                r#"{{"rule": {{"family": "inet", "table": "filter", "chain": "{chain}", "handle": 6, "expr": [{expressions}]}}}}"#
            )
        };
        let tcp = |ports: &str, verdict: &str| {
            let left = r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#;
            format!(r#"{{"match": {{"op": "==", "left": {left}, "right": {ports}}}}}, {{"{verdict}": null}}"#)
        };
        let state = r#"{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["invalid", {"drop": null}], ["established", {"accept": null}], ["related", {"accept": null}]]}}}"#;
        let lo = r#"{"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": "lo"}}, {"accept": null}"#;
        let udp = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 53}}, {"reject": {"type": "icmpx", "expr": "port-unreachable"}}"#;
        let ping = r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["icmp", "ipv6-icmp"]}}}, {"drop": null}"#;
        let web = tcp(r#"{"set": [80, 443, {"range": [8000, 8100]}]}"#, "accept");
        let own = [state, lo, &tcp("22", "drop"), &web, udp, ping, r#"{"jump": {"target": "world"}}"#];
        let own = own.map(|expressions| rule("input", expressions));
        let rules: Vec<_> = own.into_iter().chain(more.iter().map(|expressions| rule("world", expressions))).collect();
        let rules = rules.join(", ");
        format!(
            r#"{{"nftables": [{{"metainfo": {{"version": "1.1.3", "json_schema_version": 1}}}},
            {{"table": {{"family": "inet", "name": "filter", "handle": 1}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "onward", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "{policy}"}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "world", "handle": 3}}}}, {rules}]}}"#
        )
    }

    #[test]
    fn nft_drops_what_its_rules_are_about_also_in_chains_that_are_called() {
        let drops = |more: &[&str], port| by_nft(&nft("accept", more), port, ALL).map(|(_, drops)| drops);
        assert_eq!(drops(&[], 9876), None, "only other ports are dropped, and what is no new connection");
        assert_eq!(drops(&[], 22), Some(Drops::Plainly));
        let counted =
            r#"{"counter": {"packets": 3, "bytes": 180}}, {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}"#;
        let (chain, plainly) = by_nft(&nft("accept", &[counted]), 9876, ALL).unwrap();
        assert_eq!(
            (chain.join(" ").as_str(), plainly),
            ("inet filter input", Drops::Plainly),
            "that is where it is let in"
        );
        assert_eq!(drops(&[counted], 8080), None, "let in before");
        let banned = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@banned"}}, {"drop": null}"#;
        assert_eq!(drops(&[banned], 9876), Some(Drops::Perhaps));
        let limited = r#"{"limit": {"rate": 5, "burst": 5, "per": "minute"}}, {"log": {"prefix": "dropped: "}}"#;
        assert_eq!(drops(&[limited], 9876), None);
        let by_interface = r#"{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["eth0", {"drop": null}], ["eth1", {"accept": null}]]}}}"#;
        assert_eq!(drops(&[by_interface], 9876), Some(Drops::Perhaps));
    }

    #[test]
    fn nft_drops_by_policy_what_nothing_lets_in() {
        let drops = |port| by_nft(&nft("drop", &[]), port, ALL).map(|(_, drops)| drops);
        assert_eq!((drops(9876), drops(8080)), (Some(Drops::Plainly), None));
        let lan = r#"{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}, {"accept": null}"#;
        let lan = by_nft(&nft("drop", &[lan]), 9876, ALL).map(|(_, drops)| drops);
        assert_eq!(lan, Some(Drops::Perhaps), "it may come in by another interface");
        let ping = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "protocol"}}, "right": "icmp"}}, {"accept": null}"#;
        let ping = by_nft(&nft("drop", &[ping]), 9876, ALL).map(|(_, drops)| drops);
        assert_eq!(ping, Some(Drops::Plainly));
        assert_eq!(by_nft("", 9876, ALL), None);
        assert_eq!(by_nft(r#"{"nftables": [{"metainfo": {}}]}"#, 9876, ALL), None);
    }
}
