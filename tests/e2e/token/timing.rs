// SPDX-License-Identifier: GPL-3.0-or-later
//! A wrong token is refused in the same time, however much of it is right. One byte's comparison is far quicker than a
//! message over a socket and would not be seen; what is seen is anything more that is done for a token that is nearly right.
//! A control shows that some microseconds are.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, Wire, http};
use serde_json::json;

use super::{ensure_unauthorized, hello, required, token};
use crate::suite::Suite;

pub(super) fn add(suite: &mut Suite) {
    suite.own("token::a_nearly_right_one_is_refused_in_the_same_time", same_time);
}

/// Answers that are measured for each of the two tokens.
const EACH: usize = 3000;

/// A loaded machine may be unlucky; a difference that is there comes back.
const ROUNDS: usize = 6;

/// Which of the answers for the two tokens are compared: other programs hold up slower ones, and what the server does
/// for a token it does each time.
const PERCENTILE: usize = 10;

/// How far these may be apart.
const TOLERANCE: f64 = 0.1;

/// Requests over one kept connection; whoever has not brought the right token in time is put out.
const KEPT_FOR: usize = 500;

/// A token of the same length whose bytes are others from the first (`from` 0) or only at the end.
fn wrong(token: &str, from: usize) -> String {
    let other = |byte: char| if byte == 'x' { 'y' } else { 'x' };
    token.chars().enumerate().map(|(at, byte)| if at < from { byte } else { other(byte) }).collect()
}

/// A connection for each, as the server closes it afterwards.
fn by_hello(blender: &Blender, _kept: &mut Option<(Wire, usize)>, token: &str) -> Result<Duration> {
    let request = hello(&json!(token));
    let mut wire = blender.wire()?;
    let begun = Instant::now();
    let reply = wire.answer(&request)?;
    let took = begun.elapsed();
    ensure_unauthorized(&reply)?;
    Ok(took)
}

/// One connection for many: `/health` looks at the token too, and answers without it.
fn by_http(blender: &Blender, kept: &mut Option<(Wire, usize)>, token: &str) -> Result<Duration> {
    let request = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    let (mut wire, used) = match kept.take().filter(|(_, used)| *used < KEPT_FOR) {
        Some(kept) => kept,
        None => (blender.wire()?, 0),
    };
    let begun = Instant::now();
    wire.send(request.as_bytes())?;
    let answer = wire.read_to(b'}')?;
    let took = begun.elapsed();
    // Not ready is what a main thread is called that other programs hold up.
    let is_told = [&b"HTTP/1.1 200"[..], b"HTTP/1.1 503"].iter().any(|code| answer.starts_with(code));
    ensure!(is_told, "{}", String::from_utf8_lossy(&answer));
    *kept = Some((wire, used + 1));
    Ok(took)
}

/// What makes a request by HTTP a little more work for the server: a header that it passes over.
fn with_more_work(token: &str) -> String {
    format!("{token}\r\nX-More: {}", "x".repeat(24_000))
}

type Ask = fn(&Blender, &mut Option<(Wire, usize)>, &str) -> Result<Duration>;

/// For two tokens, asked for in turns of a random order: what the second takes, as a multiple of the first.
fn ratio(blender: &Blender, tokens: [&str; 2], ask: Ask) -> Result<f64> {
    let (mut took, mut kept, random) = ([Vec::new(), Vec::new()], None, RandomState::new());
    // The first ones warm up.
    for turn in 0..EACH + EACH / 10 {
        let first = usize::from(random.hash_one(turn) & 1 == 0);
        for which in [first, 1 - first] {
            let one = ask(blender, &mut kept, tokens[which]).with_context(|| format!("turn {turn}"))?;
            if turn >= EACH / 10 {
                took[which].push(one);
            }
        }
    }
    let [one, other] = took.map(|mut took| {
        took.sort_unstable();
        took[took.len() * PERCENTILE / 100]
    });
    println!("{PERCENTILE}th percentiles {one:?} and {other:?}");
    Ok(other.as_secs_f64() / one.as_secs_f64())
}

/// Whether the ratio is as wanted in one of the rounds.
fn is_once(what: &str, measure: impl Fn() -> Result<f64>, is_wanted: fn(f64) -> bool) -> Result<()> {
    let mut ratios = Vec::new();
    while ratios.len() < ROUNDS {
        let ratio = measure().context(what.to_owned())?;
        println!("{what}: {ratio:.3}");
        ratios.push(ratio);
        if is_wanted(ratio) {
            return Ok(());
        }
    }
    anyhow::bail!("{what}: the percentiles are apart by {ratios:.3?}")
}

fn same_time(environment: &Environment) -> Result<()> {
    let blender = required(environment, Flavour::Bpy52)?;
    let right = token(&blender)?;
    let (far, near) = (&wrong(&right, 0), &wrong(&right, right.len() - 1));
    ensure!(!far.bytes().zip(right.bytes()).any(|(one, other)| one == other), "they have a byte in common");
    ensure!(*near != right && near[..near.len() - 1] == right[..near.len() - 1], "more than the last is wrong");
    for (token, wanted) in [(far, 401), (near, 401), (&right, 200)] {
        let (code, body) = http(blender.port, "GET /status", &format!("Authorization: Bearer {token}\r\n"))?;
        ensure!(code == wanted, "{code}: {body}");
    }
    let is_same = |ratio: f64| (ratio - 1.0).abs() <= TOLERANCE;
    is_once("nearly right, by hello", || ratio(&blender, [far, near], by_hello), is_same)?;
    is_once("nearly right, by HTTP", || ratio(&blender, [far, near], by_http), is_same)?;
    is_once("control", || ratio(&blender, [far, &with_more_work(far)], by_http), |ratio| ratio > 1.0 + TOLERANCE)
}
