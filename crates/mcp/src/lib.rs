// SPDX-License-Identifier: GPL-3.0-or-later
//! The MCP server: what a language model sees of Blender.
//!
//! Owns the tools, their schemas and instructions, and beside each tool the snippet of Python that it runs. It drives
//! any [`Blender`]: a remote one over the wire, or, inside Blender, the one that it lives in. It opens no socket
//! itself, and listing what it can do never touches Blender.
//!
//! **Architecture invariant:** what cannot be done is told to the model as the result of the tool, in words that say
//! what to do next; a protocol error is only for requests that are no valid MCP.

mod blender;
mod caller;
mod defect;
mod docs;
mod elicit;
#[cfg(feature = "fixtures")]
mod fixtures;
mod greeting;
mod http;
mod jobs;
mod large;
mod output;
mod prompts;
mod resources;
mod server;
mod snippet;
mod tools;
mod visitor;
mod waiting;

pub use blender::{Blender, Call, Launch, NoReply, OnEvent, Running, Travel};
pub use docs::api_changes;
pub use greeting::{greeted, greeting};
pub use http::{Hosts, HttpServer, begins_alone, refusal, stands_alone};
pub use server::{INSTRUCTIONS, ServeError, Server, other_definitions, revisions, serve_stdio, tool_definitions};
pub use tools::{Answer, answers, glance, glanced};
pub use visitor::OnBehalf;
