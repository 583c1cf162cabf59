// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients on other machines: who is let in, what they must bring, and what those are told that are not.

mod container;
mod doctor;
mod gone;
mod machines;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{
    ALLOW_ONLINE_ACCESS, Blender, Environment, Flavour, PREFERENCES, Settings, Wire, free_port, wait_until,
};
use serde_json::{Value, json};

use self::machines::{Machine, Machines, on_machines};
use crate::attacks::{ensure_unharmed, intrusions, tls};
use crate::journal::who::of_code;
use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    for flavour in [Flavour::Bpy50, Flavour::Bpy52, Flavour::Background] {
        suite
            .own(&format!("{}::remote::does_not_start_for_others_without_rules", flavour.name()), move |environment| {
                without_rules(environment, flavour)
            });
    }
    for flavour in [Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed, Flavour::Background] {
        suite.own(&format!("{}::remote::who_is_not_allowed_is_told_so", flavour.name()), move |environment| {
            on_machines(environment, |environment, machines| strangers(environment, machines, flavour))
        });
        suite.own(&format!("{}::remote::who_is_allowed_needs_tls_and_token", flavour.name()), move |environment| {
            on_machines(environment, |environment, machines| friends(environment, machines, flavour))
        });
    }
    doctor::add(suite);
    suite.own("bpy_5_2::remote::https_needs_token_and_a_right_name", |environment| on_machines(environment, https));
    suite.own("bpy_5_2::remote::an_open_network_needs_neither", |environment| on_machines(environment, open));
    suite.own("bpy_5_2::remote::who_is_gone_without_a_word_is_given_up", |environment| {
        on_machines(environment, gone::are_given_up)
    });
    suite.own("bpy_5_2::remote::the_same_by_ipv6", |environment| on_machines(environment, by_ipv6));
    suite.own("bpy_5_2::remote::the_containers_entry_point_serves_other_machines", |environment| {
        on_machines(environment, container::serves)
    });
    suite.own("bpy_5_2::remote::one_address_is_served_and_no_other", |environment| {
        on_machines(environment, one_address)
    });
}

const SOON: Duration = Duration::from_secs(30);

fn arguments(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A Blender that listens on `host` under rules as options have them; a windowed one has them in its preferences.
fn start(environment: &Environment, flavour: Flavour, host: &str, rules: &[(&str, &str)]) -> Result<Blender> {
    if flavour == Flavour::Windowed {
        let port = free_port()?;
        let preference = |rule: &str| if rule == "--allow" { "allowed_clients" } else { "open_networks" };
        let lines = rules.iter().map(|(rule, network)| format!("{PREFERENCES}.{} = '{network}'\n", preference(rule)));
        let wishes = ALLOW_ONLINE_ACCESS.to_owned() + &lines.collect::<String>();
        let variables = vec![("BLENDWIRE_BIND".to_owned(), format!("{host}:{port}"))];
        let settings = Settings { port: Some(port), python_expr: Some(wishes), variables, ..Settings::default() };
        return Blender::start(environment, flavour, &settings);
    }
    let mut words = vec!["--host", host];
    words.extend(rules.iter().flat_map(|(rule, network)| [*rule, *network]));
    let mut settings = Settings { arguments: arguments(&words), ..Settings::default() };
    if flavour == Flavour::Background {
        settings.blender_arguments = arguments(&["--online-mode"]);
    } else {
        settings.arguments.push("--online-mode".to_owned());
    }
    Blender::start(environment, flavour, &settings)
}

fn without_rules(environment: &Environment, flavour: Flavour) -> Result<()> {
    let offline =
        Settings { arguments: arguments(&["--host", "0.0.0.0", "--allow", "10.0.0.0/8"]), ..Settings::default() };
    let online = Settings { arguments: arguments(&["--host", "0.0.0.0", "--online-mode"]), ..Settings::default() };
    let wrong = Settings {
        arguments: arguments(&["--host", "0.0.0.0", "--online-mode", "--allow", "everybody"]),
        ..Settings::default()
    };
    let too_wide = Settings {
        arguments: arguments(&["--host", "0.0.0.0", "--online-mode", "--open-to", "0.0.0.0/0"]),
        ..Settings::default()
    };
    let told_offline = Settings { blender_arguments: arguments(&["--offline-mode"]), ..online.clone() };
    for (settings, words) in [
        (offline, &["Allow Online Access", "--online-mode", "localhost"][..]),
        (online, &["Allowed Clients", "--allow", "localhost"]),
        (wrong, &["“everybody” is no address", "192.168.1.0/24"]),
        (too_wide, &["“0.0.0.0/0” is too wide", "10.0.0.0/8", "Allowed Clients"]),
        // What Blender itself was told goes first.
        (told_offline, &["Allow Online Access"]),
    ] {
        if !settings.blender_arguments.is_empty() && flavour != Flavour::Background {
            continue;
        }
        let refused = Blender::start(environment, flavour, &settings).err().context("it started")?;
        let refused = format!("{refused:#}");
        ensure!(refused.contains("blendwire: error: ") && words.iter().all(|word| refused.contains(word)), "{refused}");
        ensure!(!refused.contains("Traceback") && !refused.contains("listening on"), "{refused}");
    }
    Ok(())
}

/// Each dialect's way to send the intrusion, and whether the answer is HTTP.
fn in_every_dialect() -> Vec<(Vec<u8>, bool)> {
    let [framed, bare] = intrusions().map(|request| request.to_string());
    let post = |headers: &str| {
        format!(
            "POST /execute HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{framed}",
            framed.len()
        )
    };
    let requests = [
        (format!("{framed}\0"), false),
        (format!("{framed}\n"), false),
        (bare, false),
        (post(""), true),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(), true),
        ("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), true),
    ];
    requests.into_iter().map(|(request, is_http)| (request.into_bytes(), is_http)).collect()
}

/// All that the server says to `request` that comes from `machine`.
fn said(machine: &Machine, host: &str, port: u16, request: &[u8]) -> Result<String> {
    machine.there(|| {
        let mut wire = Wire::connect_to((host, port))?;
        wire.send(request)?;
        let _ = wire.finish_sending();
        Ok(String::from_utf8_lossy(&wire.read_to_end()?).into_owned())
    })
}

fn ensure_turned_away(said: &str, is_http: bool, words: &[&str]) -> Result<()> {
    ensure!(words.iter().all(|word| said.contains(word)) && !said.contains("\"stdout\""), "{said}");
    let starts = if is_http { "HTTP/1.1 403 " } else { "{\"status\": \"error\"" };
    ensure!(said.starts_with(starts), "{said}");
    Ok(())
}

fn strangers(environment: &Environment, machines: &Machines, flavour: Flavour) -> Result<()> {
    let blender = start(environment, flavour, "0.0.0.0", &[("--allow", &machines.friend.network)])?;
    let stranger = &machines.stranger;
    let mut requests = in_every_dialect();
    requests.push((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), false));
    requests.push((b"SSH-2.0-x\r\n".to_vec(), false));
    for (request, is_http) in &requests {
        let said = said(stranger, &stranger.server, blender.port, request)?;
        ensure_turned_away(&said, *is_http, &["10.98.0.2", "Allowed Clients", "--allow"])?;
    }
    // From a machine to itself is not from elsewhere, whatever address others see: its user decides.
    let mut wire = Wire::connect_to((stranger.server.as_str(), blender.port))?;
    let reply = wire.answer(&json!({"type": "ping"}))?;
    ensure!(reply["result"] == "pong", "{reply}");
    let (code, _, err) = exec(environment, stranger, &blender, &stranger.server, &["--plain"], None)?;
    ensure!(code == Some(1) && err.contains("Allowed Clients"), "{code:?} {err}");
    let told = wait_until("the log to tell", SOON, || {
        Some(blender.process.output()).filter(|told| told.contains("in none of the allowed networks"))
    })?;
    ensure!(told.matches("in none of the allowed networks").count() == 1, "told once a minute: {told}");
    let status = blender.wire()?.answer(&json!({"type": "status"}))?["result"].take();
    let refused = status["counters"]["connections_refused"].as_u64();
    ensure!(refused == Some(requests.len() as u64 + 1), "{refused:?} of {}", requests.len() + 1);
    ensure!(status["access"]["beyond_this_machine"] == true, "{status}");
    ensure_unharmed(&blender, "strangers")
}

/// `blendwire exec` on another machine, which has nothing of this one's but what it is given.
fn exec(
    environment: &Environment,
    machine: &Machine,
    blender: &Blender,
    host: &str,
    options: &[&str],
    token: Option<&str>,
) -> Result<(Option<i32>, String, String)> {
    let mut command = machine.command(&environment.blendwire);
    command.args(["exec", "--host", host, "--port", &blender.port.to_string(), "-c", "result = 6 * 7"]).args(options);
    command.env("BLENDWIRE_CONFIG_DIR", "/nonexistent").env_remove("BLENDWIRE_TOKEN");
    if let Some(token) = token {
        command.env("BLENDWIRE_TOKEN", token);
    }
    let Output { status, stdout, stderr } = command.stdin(std::process::Stdio::null()).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((status.code(), text(stdout), text(stderr)))
}

/// What Blender's user tells those of other machines: the token and the certificate's fingerprint.
fn credentials(environment: &Environment, blender: &Blender) -> Result<(String, String)> {
    let mut command = Command::new(&environment.blendwire);
    command.args(["tls", "--json"]).env("BLENDWIRE_CONFIG_DIR", blender.file("config"));
    // A server that listens may still be making it.
    let shown: Value =
        wait_until("a certificate", SOON, || serde_json::from_slice(&command.output().ok()?.stdout).ok())?;
    let token = fs_err::read_to_string(blender.file("config/token"))?;
    Ok((token.trim().to_owned(), shown["fingerprint"].as_str().context("no fingerprint")?.to_owned()))
}

fn friends(environment: &Environment, machines: &Machines, flavour: Flavour) -> Result<()> {
    let blender = start(environment, flavour, "0.0.0.0", &[("--allow", &machines.friend.network)])?;
    let friend = &machines.friend;
    let (host, port) = (friend.server.as_str(), blender.port);
    // Without TLS, whatever the dialect.
    for (request, is_http) in in_every_dialect() {
        let said = said(friend, host, port, &request)?;
        ensure_turned_away(&said, is_http, &["inside TLS only", "--fingerprint", "Open Networks"])?;
    }
    // Inside TLS, without the token: nothing but /health is answered.
    let inside = |request: &[u8]| {
        tls::inside_tls(friend.command("python3"), &environment.workspace, host, port, &["1"], request)
    };
    for (request, is_http) in in_every_dialect() {
        let is_health = request.starts_with(b"GET /health");
        let said = if is_health {
            // One that has just started may be busy with its window again.
            wait_until("the server to call itself ready", SOON, || {
                let said = inside(&request).map(|said| (!said.starts_with("HTTP/1.1 503 ")).then_some(said));
                said.transpose()
            })??
        } else {
            inside(&request)?
        };
        let starts = if is_health {
            "HTTP/1.1 200 "
        } else if is_http {
            "HTTP/1.1 401 "
        } else {
            "{\"status\": \"error\""
        };
        ensure!(said.starts_with(starts) && !said.contains("endpoints"), "{said}");
        ensure!(is_health || said.contains("token"), "{said}");
    }
    ensure_unharmed(&blender, "friends without the token")?;
    // With both.
    let (token, fingerprint) = credentials(environment, &blender)?;
    let wrong = "0".repeat(64);
    for (options, token, expected, words) in [
        (&["--fingerprint", &fingerprint][..], Some(token.as_str()), Some(0), ""),
        (&["--fingerprint", &fingerprint], None, Some(1), "BLENDWIRE_TOKEN"),
        (&["--fingerprint", &fingerprint], Some(wrong.as_str()), Some(1), "not the server's token"),
        (&["--fingerprint", &wrong], Some(&token), Some(1), "another certificate"),
        (&[], Some(&token), Some(1), "--fingerprint"),
        (&["--plain"], Some(&token), Some(1), "inside TLS only"),
    ] {
        let (code, out, err) = exec(environment, friend, &blender, host, options, token)?;
        ensure!(code == expected && err.contains(words), "{options:?}: {code:?} {out} {err}");
        ensure!(out == if expected == Some(0) { "42\n" } else { "" }, "{options:?}: {out}");
        ensure!(!token.is_some_and(|token| err.contains(token)), "the token shows: {err}");
    }
    // One that the fingerprint tells to be somebody else has not been sent the token, nor the script.
    ensure!(!blender.process.output().contains(&token), "the log shows the token");
    ensure_unharmed(&blender, "friends")
}

/// curl as people have it, on another machine.
fn curl(machine: &Machine, arguments: &[&str]) -> Result<(String, String)> {
    let mut command = machine.command("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--write-out", "\n%{http_code}"]);
    let output = command.args(arguments).output().context("the tests need curl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((code.to_owned(), body.to_owned() + &String::from_utf8_lossy(&output.stderr)))
}

fn https(environment: &Environment, machines: &Machines) -> Result<()> {
    let blender = start(environment, Flavour::Bpy52, "0.0.0.0", &[("--allow", &machines.friend.network)])?;
    let (friend, port) = (&machines.friend, blender.port);
    let (token, _) = credentials(environment, &blender)?;
    let (bearer, as_json) = (format!("Authorization: Bearer {token}"), "Content-Type: application/json");
    let at = |path: &str| format!("https://{}:{port}/{path}", friend.server);
    let script = "{\"code\": \"result = 6 * 7\"}";
    let with_token = ["-H", &bearer, "-H", as_json, "-d", script];
    let send = |more: &[&str]| curl(friend, &[&with_token[..], &["--insecure"], more, &[&at("execute")]].concat());
    let (code, body) = send(&[])?;
    ensure!(code == "200" && serde_json::from_str::<Value>(&body)?["result"] == 42, "{code} {body}");
    // By the certificate itself as the authority, and the name that it is for.
    let certificate = certificate_in(&blender)?;
    let name = fs_err::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
    let certificate = certificate.display().to_string();
    let resolve = format!("{name}:{port}:{}", friend.server);
    let (code, body) = curl(
        friend,
        &["--cacert", &certificate, "--resolve", &resolve, "-H", &bearer, &format!("https://{name}:{port}/status")],
    )?;
    ensure!(code == "200" && body.contains("endpoints"), "{code} {body}");
    for (arguments, expected) in [
        // Unknown to the system, it is not believed.
        (vec![at("health")], "000"),
        (vec!["--insecure".to_owned(), at("health")], "200"),
        (vec!["--insecure".to_owned(), at("status")], "401"),
        (vec!["--insecure".to_owned(), at("metrics")], "401"),
        (vec!["--insecure".to_owned(), "-d".to_owned(), script.to_owned(), at("execute")], "401"),
        (vec![at("health").replace("https", "http")], "403"),
    ] {
        let (code, body) = curl(friend, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        ensure!(code == expected, "{arguments:?}: {code} {body}");
    }
    for (header, expected) in [
        ("Host: evil.example", "403"),
        ("Origin: https://evil.example", "403"),
        ("Sec-Fetch-Site: cross-site", "403"),
        ("Host: 192.168.7.7", "200"),
        ("Host: localhost", "200"),
    ] {
        let (code, body) = send(&["-H", header])?;
        ensure!(code == expected, "{header}: {code} {body}");
    }
    ensure_unharmed(&blender, "curl")
}

/// The certificate that the server has made.
fn certificate_in(blender: &Blender) -> Result<PathBuf> {
    let files = fs_err::read_dir(blender.file("config"))?.collect::<Result<Vec<_>, _>>()?;
    let found = files
        .iter()
        .map(fs_err::DirEntry::path)
        .find(|path| fs_err::read_to_string(path).is_ok_and(|text| text.starts_with("-----BEGIN CERTIFICATE")));
    found.with_context(|| format!("no certificate among {files:?}"))
}

fn open(environment: &Environment, machines: &Machines) -> Result<()> {
    let Machines { friend, stranger } = machines;
    let rules = [("--allow", friend.network.as_str()), ("--open-to", stranger.network.as_str())];
    let blender = start(environment, Flavour::Bpy52, "0.0.0.0", &rules)?;
    let reply = stranger.there(|| {
        let mut wire = Wire::connect_to((stranger.server.as_str(), blender.port))?;
        wire.answer(&json!({"type": "status"}))
    })?;
    ensure!(reply["result"]["access"]["open_networks"] == json!([stranger.network]), "{reply}");
    let (code, out, err) = exec(environment, stranger, &blender, &stranger.server, &["--plain"], None)?;
    ensure!((code, out.as_str()) == (Some(0), "42\n"), "{code:?} {err}");
    let (_, fingerprint) = credentials(environment, &blender)?;
    let (code, out, err) =
        exec(environment, stranger, &blender, &stranger.server, &["--fingerprint", &fingerprint], None)?;
    ensure!((code, out.as_str()) == (Some(0), "42\n"), "{code:?} {err}");
    // A page in a browser there has no token either.
    let at = format!("http://{}:{}/execute", stranger.server, blender.port);
    let (code, body) = curl(stranger, &["-H", "Content-Type: application/json", "-d", "{\"code\": \"1\"}", &at])?;
    ensure!(code == "401", "{code} {body}");
    // The other network is as closed as before.
    let said = said(friend, &friend.server, blender.port, b"{\"type\": \"ping\"}\0")?;
    ensure_turned_away(&said, false, &["inside TLS only"])?;
    let told = blender.process.output();
    ensure!(
        told.contains(&format!("whoever is in {} can run Python in this Blender, without a token", stranger.network)),
        "{told}"
    );
    ensure_unharmed(&blender, "an open network")
}

fn by_ipv6(environment: &Environment, machines: &Machines) -> Result<()> {
    let Machines { friend, stranger } = machines;
    let rules = [("--allow", friend.network_v6.as_str()), ("--allow", friend.network.as_str())];
    let blender = start(environment, Flavour::Bpy52, "[::]", &rules)?;
    let (token, fingerprint) = credentials(environment, &blender)?;
    // One socket serves both families: IPv4 shows as part of IPv6 there.
    for (host, strange) in [(&friend.server_v6, &stranger.server_v6), (&friend.server, &stranger.server)] {
        let options = ["--fingerprint", fingerprint.as_str()];
        let (code, out, err) = exec(environment, friend, &blender, host, &options, Some(&token))?;
        ensure!((code, out.as_str()) == (Some(0), "42\n"), "{host}: {code:?} {err}");
        let (code, _, err) = exec(environment, friend, &blender, host, &["--plain"], Some(&token))?;
        ensure!(code == Some(1) && err.contains("inside TLS only"), "{host}: {code:?} {err}");
        for (request, is_http) in in_every_dialect() {
            let said = said(stranger, strange, blender.port, &request)?;
            let address = if strange.contains(':') { "fd98::2" } else { "10.98.0.2" };
            ensure_turned_away(&said, is_http, &[&format!("connections from {address}:"), "Allowed Clients"])?;
        }
    }
    let (code, body) = curl(
        friend,
        &[
            "--insecure",
            "-H",
            &format!("Authorization: Bearer {token}"),
            &format!("https://[{}]:{}/status", friend.server_v6, blender.port),
        ],
    )?;
    ensure!(code == "200" && body.contains("endpoints"), "{code} {body}");
    ensure_unharmed(&blender, "IPv6")
}

/// The server behind `/mcp` is a client of this one, which it tells by its certificate: also by one that was renewed since
/// the start. Whom the journal names is the other machine.
fn by_mcp(environment: &Environment, friend: &Machine, blender: &Blender) -> Result<()> {
    let mut command = Command::new(&environment.blendwire);
    command.args(["tls", "--make"]).env("BLENDWIRE_CONFIG_DIR", blender.file("config"));
    ensure!(command.output()?.status.success(), "no new certificate");
    let (token, _) = credentials(environment, blender)?;
    let bearer = format!("Authorization: Bearer {token}");
    let at = format!("https://{}:{}/mcp", friend.server, blender.port);
    let accept = "Accept: application/json, text/event-stream";
    let send = |session: &str, message: &Value| -> Result<String> {
        let (kind, body) = ("Content-Type: application/json", message.to_string());
        let headers = ["-H", &bearer, "-H", accept, "-H", kind, "-H", session];
        let (code, said) = curl(friend, &[&["--insecure", "--include", "-d", &body][..], &headers, &[&at]].concat())?;
        ensure!(code.starts_with("20"), "{code}: {said}");
        Ok(said)
    };
    let who =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "afar", "version": "1"}});
    let said = send("X-None: 1", &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": who}))?;
    let session = said.lines().find(|line| line.to_ascii_lowercase().starts_with("mcp-session-id:"));
    let session = session.with_context(|| format!("no session in {said}"))?.trim();
    send(session, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
    let call = json!({"name": "execute_blender_code", "arguments": {"code": "result = 'from afar'"}});
    let said = send(session, &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}))?;
    ensure!(said.contains("from afar") && !said.contains("\"isError\":true"), "{said}");
    let begin = of_code(blender, "result = 'from afar'")?;
    let peer = begin["peer"].as_str().unwrap_or_default();
    ensure!(peer.starts_with("10.99.0.2:") && begin.get("uid").is_none(), "{begin}");
    ensure!(begin["dialect"] == "mcp" && begin["client"] == "afar 1", "{begin}");
    Ok(())
}

/// Whoever names one address is served there, and nobody elsewhere, not even this machine.
fn one_address(environment: &Environment, machines: &Machines) -> Result<()> {
    let Machines { friend, stranger } = machines;
    let port = free_port()?;
    let words = arguments(&["--host", &friend.server, "--allow", &friend.network, "--online-mode"]);
    let settings =
        Settings { arguments: words, port: Some(port), reached_at: Some(friend.server.clone()), ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let (token, fingerprint) = credentials(environment, &blender)?;
    let (code, out, err) =
        exec(environment, friend, &blender, &friend.server, &["--fingerprint", &fingerprint], Some(&token))?;
    ensure!((code, out.as_str()) == (Some(0), "42\n"), "{code:?} {err}");
    ensure!(Wire::connect(port).is_err(), "127.0.0.1 is served");
    by_mcp(environment, friend, &blender)?;
    ensure!(
        stranger.there(|| Wire::connect_to((stranger.server.as_str(), port))).is_err(),
        "another address is served"
    );
    Ok(())
}
