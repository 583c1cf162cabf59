// SPDX-License-Identifier: GPL-3.0-or-later
//! What scripts print goes to the client as log messages. MCP has deprecated these, and nothing has come in their place.

#![expect(deprecated, reason = "until there is something else for what a script prints")]

use rmcp::model::{
    JsonObject, LoggingLevel, LoggingMessageNotificationParam, ServerCapabilities, SetLevelRequestParams,
};
use rmcp::service::{Peer, RequestContext, RoleServer};

/// How severe a message is.
pub(crate) type Level = LoggingLevel;

/// A client's wish for the least severe ones.
pub(crate) type SetLevel = SetLevelRequestParams;

/// `capabilities`, and this one.
pub(crate) fn announced(mut capabilities: ServerCapabilities) -> ServerCapabilities {
    capabilities.logging = Some(JsonObject::new());
    capabilities
}

/// What a client has asked for.
pub(crate) fn asked(request: &SetLevel) -> Level {
    request.level
}

/// Whether a client wants to know what scripts print: `level` is what it said for its session, if anything. Without a session
/// it must have asked for it with the call.
pub(crate) fn is_wanted(context: &RequestContext<RoleServer>, level: Option<Level>, is_stateless: bool) -> bool {
    let level = if is_stateless { context.meta.log_level() } else { Some(level.unwrap_or(Level::Info)) };
    matches!(level, Some(Level::Debug | Level::Info))
}

/// Tells the client that a script has printed `text`.
pub(crate) async fn tell(peer: &Peer<RoleServer>, text: String) {
    let message = LoggingMessageNotificationParam::new(Level::Info, text.into()).with_logger("blender");
    // A client that cannot be told any more will not get the result either.
    let _ = peer.notify_logging_message(message).await;
}
