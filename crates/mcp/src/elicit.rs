// SPDX-License-Identifier: GPL-3.0-or-later
//! Asks the user through the MCP client whether a script may do what a guard rule of Blender's user asks about.
//!
//! Blender asks on its own screen too, and whoever answers first has answered. So a client that cannot ask, or a person
//! who closes its question without an answer, leaves the request waiting for Blender's.

use blendwire_protocol::{ConsentAnswer, wants_in_words};
use rmcp::model::{ElicitRequestParams, ElicitationAction, ElicitationSchema, EnumSchema};
use rmcp::service::{ElicitationMode, Peer, RoleServer};

/// What of a script a person is shown.
const SHOWN_CHARS: usize = 1500;

/// The key of the answer.
const ANSWER: &str = "answer";

/// Whether the client can ask its user.
pub(crate) fn can(peer: &Peer<RoleServer>) -> bool {
    peer.supported_elicitation_modes().contains(&ElicitationMode::Form)
}

/// The user's answer to a script that wants this; `None` when there is none.
pub(crate) async fn consent(
    peer: &Peer<RoleServer>,
    title: &str,
    code: &str,
    wants: &[String],
) -> Option<ConsentAnswer> {
    let shown: String = code.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < code.len() { "\n… and more" } else { "" };
    let wants = wants_in_words(wants);
    let message = format!("In Blender “{title}” wants to {wants}. Its code:\n\n{shown}{more}");
    let titles = ["Once", "For this session", "Never: refuse it"].map(str::to_owned).to_vec();
    let names = ConsentAnswer::ALL.map(|answer| answer.name().to_owned()).to_vec();
    let choice = EnumSchema::builder(names).enum_titles(titles).ok()?.build();
    let requested_schema = ElicitationSchema::builder().required_enum_schema(ANSWER, choice).build().ok()?;
    let params = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
    let answered = peer.create_elicitation(params).await.ok()?;
    match answered.action {
        ElicitationAction::Accept => ConsentAnswer::named(answered.content?.get(ANSWER)?.as_str()?),
        ElicitationAction::Decline => Some(ConsentAnswer::Never),
        _ => None,
    }
}
