// SPDX-License-Identifier: GPL-3.0-or-later
//! The end-to-end tests: real Blenders, real clients, real processes. Run by `cargo xtask test`, which provides them.
//!
//! A test that does not disturb its Blender shares one with others of the same flavour; one that ends, restarts or
//! reconfigures it starts its own.

#[cfg(target_os = "linux")]
mod access;
mod addon;
#[cfg(target_os = "linux")]
mod addon_command;
mod attacks;
mod bundle;
mod changes;
#[cfg(target_os = "linux")]
mod clock;
mod command;
mod connector;
mod control;
#[cfg(target_os = "linux")]
mod disk;
mod doctor;
mod extended;
#[cfg(target_os = "linux")]
mod faults;
mod foreign;
mod guard;
mod http;
mod instances;
mod journal;
mod limits;
mod mcp;
mod mcp_for_blender;
mod panel;
mod panics;
#[cfg(target_os = "linux")]
mod remote;
#[cfg(target_os = "linux")]
mod render_command;
#[cfg(unix)]
mod repl;
mod responsive;
mod script;
#[cfg(target_os = "linux")]
mod shells;
#[cfg(target_os = "linux")]
mod soak;
mod stream;
mod suite;
#[cfg(target_os = "linux")]
mod temporary_files;
mod tls;
mod token;
#[cfg(target_os = "linux")]
mod tunnel;
mod undo;
#[cfg(target_os = "linux")]
mod versions;
#[cfg(target_os = "linux")]
mod web_pages;
mod wire;

use suite::Suite;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let environment = match blendwire_e2e::Environment::from_env() {
        Ok(environment) => environment,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::exit(2);
        }
    };
    let mut suite = Suite::new(environment);
    wire::add(&mut suite);
    script::add(&mut suite);
    control::add(&mut suite);
    stream::add(&mut suite);
    extended::add(&mut suite);
    responsive::add(&mut suite);
    changes::add(&mut suite);
    limits::add(&mut suite);
    #[cfg(target_os = "linux")]
    faults::add(&mut suite);
    #[cfg(target_os = "linux")]
    clock::add(&mut suite);
    #[cfg(target_os = "linux")]
    temporary_files::add(&mut suite);
    undo::add(&mut suite);
    journal::add(&mut suite);
    guard::add(&mut suite);
    #[cfg(target_os = "linux")]
    access::add(&mut suite);
    token::add(&mut suite);
    tls::add(&mut suite);
    http::add(&mut suite);
    attacks::add(&mut suite);
    #[cfg(target_os = "linux")]
    remote::add(&mut suite);
    #[cfg(target_os = "linux")]
    web_pages::add(&mut suite);
    addon::add(&mut suite);
    #[cfg(target_os = "linux")]
    addon_command::add(&mut suite);
    #[cfg(target_os = "linux")]
    versions::add(&mut suite);
    panel::add(&mut suite);
    panics::add(&mut suite);
    instances::add(&mut suite);
    command::add(&mut suite);
    doctor::add(&mut suite);
    foreign::add(&mut suite);
    #[cfg(target_os = "linux")]
    render_command::add(&mut suite);
    #[cfg(target_os = "linux")]
    tunnel::add(&mut suite);
    #[cfg(target_os = "linux")]
    shells::add(&mut suite);
    #[cfg(unix)]
    repl::add(&mut suite);
    mcp::add(&mut suite);
    bundle::add(&mut suite);
    connector::add(&mut suite);
    mcp_for_blender::add(&mut suite);
    #[cfg(target_os = "linux")]
    soak::add(&mut suite);
    suite.run(&arguments).exit();
}
