// SPDX-License-Identifier: GPL-3.0-or-later
//! TLS on the same port: every dialect inside it, certificates of all kinds, and the words for each way in which it fails.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Settings, wait_until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::suite::{EVERYWHERE, Suite};

pub(crate) fn add(suite: &mut Suite) {
    suite.shared(&EVERYWHERE, "tls::every_dialect_is_spoken_inside", inside);
    suite.shared(&[Flavour::Bpy52], "tls::an_unknown_certificate_is_told_with_its_fingerprint", unknown);
    suite.shared(&[Flavour::Bpy52], "tls::carries_a_lot", large);
    suite.own("tls::a_certificate_of_an_authority_is_checked_by_name_and_date", of_authority);
    suite.own("doctor::certificates_are_judged_by_name_and_date", judged);
    suite.own("tls::a_renewed_certificate_needs_no_restart", renewed);
    suite.own("tls::a_certificate_that_cannot_be_used_is_refused_at_the_start", unusable);
    suite.own("tls::what_speaks_no_tls_is_told_apart", not_tls);
}

const SOON: Duration = Duration::from_secs(20);

/// An authority that signs certificates for the tests.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs_err::write(folder.join("authority.pem"), issuer.pem())?;
        Ok(Self { issuer, folder: folder.to_owned() })
    }

    fn file(&self) -> String {
        self.folder.join("authority.pem").to_string_lossy().into_owned()
    }

    /// Writes certificate and key for `name`, valid until the end of `last_year`.
    fn sign(&self, name: &str, last_year: i32) -> Result<()> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        write_private(&self.folder.join("key.pem"), &key.serialize_pem())?;
        fs_err::write(self.folder.join("chain.pem"), certificate.pem())?;
        Ok(())
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        vec!["--tls-certificate".to_owned(), path("chain.pem"), "--tls-key".to_owned(), path("key.pem")]
    }
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    fs_err::write(path, text)?;
    ensure!(Command::new("chmod").arg("600").arg(path).status()?.success());
    Ok(())
}

/// `blendwire` with these arguments against `port`: exit status, stdout, stderr.
fn blendwire(binary: &Path, port: u16, config: &Path, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let mut command = Command::new(binary);
    command.args(arguments).env("BLENDWIRE_PORT", port.to_string()).env("BLENDWIRE_CONFIG_DIR", config);
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

fn binary() -> PathBuf {
    std::env::var_os("BLENDWIRE_TEST_BIN").map(PathBuf::from).unwrap_or_default()
}

const SCRIPT: [&str; 3] = ["exec", "-c", "result = 6 * 7"];

fn exec(blender: &Blender, more: &[&str]) -> Result<(Option<i32>, String, String)> {
    blendwire(&binary(), blender.port, &blender.file("config"), &[&SCRIPT[..], more].concat())
}

fn fingerprint(blender: &Blender) -> Result<String> {
    let shown = blendwire(&binary(), blender.port, &blender.file("config"), &["tls", "--json"])?;
    let shown: Value = serde_json::from_str(&shown.1).with_context(|| shown.2)?;
    Ok(shown["fingerprint"].as_str().context("no fingerprint")?.to_owned())
}

/// What a plain TLS client gets for these bytes, up to `end`.
fn said_inside(blender: &Blender, bytes: &[u8], end: &str) -> Result<String> {
    // Ended where nothing comes, so that this fails and does not hang.
    let mut command = Command::new("timeout");
    command.args(["60", "openssl", "s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", blender.port)]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = command.spawn().context("the tests need openssl")?;
    client.stdin.as_mut().context("no stdin")?.write_all(bytes)?;
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    let stdout = client.stdout.as_mut().context("no stdout")?;
    while !String::from_utf8_lossy(&said).contains(end) {
        let count = stdout.read(&mut chunk)?;
        ensure!(count > 0, "it ended with {:?}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&chunk[..count]);
    }
    client.kill()?;
    client.wait()?;
    Ok(String::from_utf8(said)?)
}

fn inside(blender: &mut Blender) -> Result<()> {
    let script = json!({"type": "execute", "code": "print('hi')\nresult = 1"});
    let expected = "{\"status\": \"ok\", \"result\": 1, \"stdout\": \"hi\\n\"}";
    ensure!(said_inside(blender, format!("{script}\0").as_bytes(), "\0")? == format!("{expected}\0"));
    ensure!(said_inside(blender, format!("{script}\n").as_bytes(), "\n")? == format!("{expected}\n"));
    let bare = json!({"type": "get_telemetry_consent", "params": {}}).to_string();
    let bare = said_inside(blender, bare.as_bytes(), "}}")?;
    ensure!(bare.contains("\"consent\""), "{bare}");
    let http = said_inside(blender, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "}")?;
    ensure!(http.starts_with("HTTP/1.1 200 "), "{http}");
    let (code, out, err) = exec(blender, &["--fingerprint", &fingerprint(blender)?])?;
    ensure!((code, out.as_str()) == (Some(0), "42\n"), "{err}");
    let status = blender.wire()?.answer(&json!({"type": "status"}))?;
    ensure!(status["result"]["access"]["fingerprint"] == fingerprint(blender)?, "{status}");
    Ok(())
}

fn unknown(blender: &mut Blender) -> Result<()> {
    let (code, out, err) = exec(blender, &["--tls"])?;
    let fingerprint = fingerprint(blender)?;
    ensure!(code == Some(1) && out.is_empty() && err.contains("signed by itself"), "{code:?} {err}");
    // All that a person needs to compare and go on.
    ensure!(err.contains(&fingerprint) && err.contains("--fingerprint") && err.contains("blendwire tls"), "{err}");
    let other = fingerprint.replace(&fingerprint[..2], if fingerprint.starts_with("00") { "11" } else { "00" });
    let (code, out, err) = exec(blender, &["--fingerprint", &other])?;
    ensure!(code == Some(1) && out.is_empty() && err.contains("another certificate"), "{code:?} {err}");
    ensure!(err.contains(&fingerprint), "{err}");
    let (code, _, err) = exec(blender, &["--fingerprint", "12:34"])?;
    ensure!(code == Some(2) && err.contains("64 hexadecimal digits"), "{code:?} {err}");
    let own = blender.file("config/certificate.pem").to_string_lossy().into_owned();
    let (code, out, err) = exec(blender, &["--tls", "--ca", &own])?;
    ensure!((code, out.as_str()) == (Some(0), "42\n"), "trusted by its file: {err}");
    wait_until("the log to tell", SOON, || {
        blender.process.output().contains("does not trust this server's certificate").then_some(())
    })
}

fn large(blender: &mut Blender) -> Result<()> {
    let script = blender.file("large.py");
    fs_err::write(&script, format!("x = '{}'\nprint(len(x))\nresult = x * 3", "x".repeat(8_000_000)))?;
    let script = script.to_string_lossy().into_owned();
    exec(blender, &["--tls"])?;
    let arguments = ["exec", "--fingerprint", &fingerprint(blender)?, &script];
    let (code, out, err) = blendwire(&binary(), blender.port, &blender.file("config"), &arguments)?;
    ensure!(code == Some(0) && out.len() == 24_000_003, "{} bytes, {err}", out.len());
    Ok(())
}

fn of_authority(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    for (name, last_year, words) in [
        ("localhost", 2090, None),
        ("render7.example", 2090, Some("for another name")),
        ("localhost", 2021, Some("has expired")),
    ] {
        authority.sign(name, last_year)?;
        let settings = Settings { arguments: authority.arguments(), ..Settings::default() };
        let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
        let (code, out, err) = exec(&blender, &["--ca", &authority.file()])?;
        let Some(words) = words else {
            ensure!((code, out.as_str()) == (Some(0), "42\n"), "{err}");
            let (code, _, err) = exec(&blender, &["--tls"])?;
            ensure!(code == Some(1) && err.contains("--ca"), "an authority that nobody trusts: {err}");
            continue;
        };
        ensure!(code == Some(1) && out.is_empty() && err.contains(words), "{name} {last_year}: {code:?} {err}");
        let chain = folder.path().join("chain.pem").to_string_lossy().into_owned();
        let arguments = ["tls", "--certificate", &chain];
        let (code, shown, _) = blendwire(&binary(), blender.port, folder.path(), &arguments)?;
        ensure!(code == Some(0) && shown.contains(name) && shown.contains(&last_year.to_string()), "{shown}");
        ensure!(shown.contains("not valid now") == (last_year == 2021) && shown.contains("an authority"), "{shown}");
    }
    Ok(())
}

/// What is wrong with a certificate is told; a right one in its place mends that, without a restart.
fn judged(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.sign("render7.example", 2090)?;
    let settings = Settings { arguments: authority.arguments(), ..Settings::default() };
    let blender = Blender::start(environment, Flavour::Bpy52, &settings)?;
    let expect = |state: &str, words: &str| -> Result<()> {
        let arguments = ["doctor", "--json", "--ca", &authority.file(), "tls"];
        let (_, out, err) = blendwire(&binary(), blender.port, &blender.file("config"), &arguments)?;
        let found: Vec<Value> = serde_json::from_str(&out).context(err)?;
        let tls = found.iter().find(|finding| finding["id"] == "tls").context("no tls")?;
        let seen = tls["seen"].as_str().unwrap_or_default();
        ensure!(tls["state"] == state && seen.contains(words), "{tls}");
        let remedies = tls["remedies"].as_array().map_or(0, Vec::len);
        ensure!((remedies > 0) == (state == "failure"), "{tls}");
        Ok(())
    };
    expect("failure", "for another name")?;
    authority.sign("localhost", 2021)?;
    expect("failure", "has expired")?;
    authority.sign("localhost", 2090)?;
    expect("ok", "for this name, valid now")
}

fn renewed(environment: &Environment) -> Result<()> {
    let blender = Blender::start(environment, Flavour::Bpy52, &Settings::default())?;
    let config = blender.file("config");
    let (_, _, err) = blendwire(&binary(), blender.port, &config, &["tls"])?;
    ensure!(err.contains("tls --make"), "none was made before one was wanted: {err}");
    exec(&blender, &["--tls"])?;
    let first = fingerprint(&blender)?;
    ensure!(exec(&blender, &["--fingerprint", &first])?.0 == Some(0));
    let (code, shown, _) =
        blendwire(&binary(), blender.port, &config, &["tls", "--make", "--name", "render7.example"])?;
    let second = fingerprint(&blender)?;
    ensure!(code == Some(0) && shown.contains("render7.example") && second != first, "{shown}");
    ensure!(exec(&blender, &["--fingerprint", &second])?.0 == Some(0));
    let (code, _, err) = exec(&blender, &["--fingerprint", &first])?;
    ensure!(code == Some(1) && err.contains("another certificate"), "{err}");
    // Half of a renewal: what was good goes on, and the log says so.
    fs_err::write(config.join("certificate.pem"), "-----BEGIN CERTIFICATE-----\nhalf")?;
    let (code, _, err) = exec(&blender, &["--fingerprint", &second])?;
    ensure!(code == Some(0), "{err}");
    wait_until("the log to tell", SOON, || {
        blender.process.output().contains("the changed certificate cannot be used").then_some(())
    })
}

fn unusable(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    let key = folder.path().join("key.pem");
    let attempt = |words: &str| -> Result<()> {
        let settings = Settings { arguments: authority.arguments(), ..Settings::default() };
        let refused = Blender::start(environment, Flavour::Bpy52, &settings).err().context("it started")?;
        let refused = format!("{refused:#}");
        ensure!(refused.contains(words), "{words}: {refused}");
        Ok(())
    };
    authority.sign("localhost", 2090)?;
    fs_err::remove_file(&key)?;
    attempt("There is no file")?;
    authority.sign("localhost", 2090)?;
    ensure!(Command::new("chmod").arg("644").arg(&key).status()?.success());
    attempt("chmod 600")?;
    write_private(&key, "no key")?;
    attempt("no private key in PEM")?;
    write_private(&key, &KeyPair::generate()?.serialize_pem())?;
    attempt("no pair")?;
    authority.sign("localhost", 2090)?;
    fs_err::write(folder.path().join("chain.pem"), "nothing")?;
    attempt("no certificate in PEM")
}

fn not_tls(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let server = std::thread::spawn(move || {
        // One that answers in plain text, and one that hangs up.
        for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    for words in ["does not speak TLS", "may not speak TLS"] {
        let arguments = [&SCRIPT[..], &["--tls"]].concat();
        let (code, out, err) = blendwire(&environment.blendwire, port, folder.path(), &arguments)?;
        ensure!(code == Some(1) && out.is_empty() && err.contains(words) && err.contains("--plain"), "{words}: {err}");
    }
    server.join().map_err(|_| anyhow::anyhow!("the server broke"))?;
    Ok(())
}
