// SPDX-License-Identifier: GPL-3.0-or-later
//! Starts real Blenders and talks to them as clients do: what the end-to-end tests and the benchmarks stand on.
//!
//! What there is to test with comes from the environment, which `cargo xtask test` and `cargo xtask bench` provide.
//! The wire is spoken here in raw bytes on purpose: these clients are the strangers that the server must serve.

mod blender;
mod display;
mod environment;
mod gate;
mod mcp;
mod process;
mod stall;
mod template;
mod wire;

pub use blender::{ALLOW_ONLINE_ACCESS, Blender, Flavour, PREFERENCES, Settings, free_port};
pub use display::{Display, Picture};
pub use environment::{Bundle, Environment};
pub use gate::Gate;
pub use mcp::{McpSession, ToolCall};
pub use process::{Process, resident_kib, wait_until};
pub use stall::StallMeter;
pub use wire::{Wire, execute_request, http};
