// SPDX-License-Identifier: GPL-3.0-or-later
//! What somebody might try who is not let in, or is let in and means no good: after each attempt no code of theirs has
//! run, and the server still answers.
//!
//! Who is let in at all is the matter of `access` and `token`; what a real browser does, of `web_pages`.

mod http;
mod load;
mod nesting;
mod smuggling;
pub(crate) mod tls;
mod words;

pub(crate) use load::limit;

use anyhow::{Result, ensure};
use blendwire_e2e::{Blender, Wire};
use serde_json::{Value, json};

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    http::add(suite);
    smuggling::add(suite);
    nesting::add(suite);
    tls::add(suite);
    words::add(suite);
    load::add(suite);
}

/// What would show that it has run.
pub(crate) const INTRUSION: &str = "import bpy\nbpy.app.driver_namespace['intruder'] = True";

/// The intrusion as each dialect carries it, without what ends the message.
pub(crate) fn intrusions() -> [Value; 2] {
    [
        json!({"type": "execute", "code": INTRUSION}),
        json!({"type": "execute_code", "params": {"code": INTRUSION, "type": "execute_code"}}),
    ]
}

/// Nothing of it has run, and the server answers as ever.
pub(crate) fn ensure_unharmed(blender: &Blender, after: &str) -> Result<()> {
    let script = "result = bpy.app.driver_namespace.pop('intruder', False)";
    ensure!(blender.result(script)? == false, "code of an intruder ran after {after}");
    let (code, body) = blendwire_e2e::http(blender.port, "GET /health", "")?;
    ensure!(code == 200, "/health says {code} after {after}: {body}");
    Ok(())
}

/// Everything that comes back for `bytes` until the server closes.
pub(crate) fn all_of(blender: &Blender, bytes: &[u8]) -> Result<String> {
    let mut wire = Wire::connect(blender.port)?;
    // A server that has refused may close before all was sent.
    let _ = wire.send(bytes);
    let _ = wire.finish_sending();
    Ok(String::from_utf8_lossy(&wire.read_to_end()?).into_owned())
}

/// One HTTP answer, of one of these classes (`4` is any of 4xx), and nothing behind it.
pub(crate) fn ensure_one_answer(answer: &str, classes: &[&str], to: &str) -> Result<()> {
    let code = answer.strip_prefix("HTTP/1.1 ").or_else(|| answer.strip_prefix("HTTP/1.0 ")).unwrap_or_default();
    ensure!(classes.iter().any(|class| code.starts_with(class)), "{to:?} was answered with {answer:?}");
    ensure!(answer.matches("HTTP/1.").count() == 1, "{to:?} was answered more than once: {answer:?}");
    ensure!(!answer.contains("\"status\": \"ok\""), "{to:?} was served: {answer:?}");
    Ok(())
}
