// SPDX-License-Identifier: GPL-3.0-or-later
//! Asks the user through the MCP client whether a script may do what a guard rule of Blender's user asks about.
//!
//! Blender asks on its own screen too, and whoever answers first has answered. So a client that cannot ask, or a person
//! who closes its question without an answer, leaves the request waiting for Blender's.

use blendwire_protocol::{ConsentAnswer, wants_in_words};
use rmcp::model::{
    ClientCapabilities, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationSchema, EnumSchema, InputRequest, InputRequiredResult, InputResponses, LegacyEnumSchema,
    ProtocolVersion, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions, RoleServer};

use crate::caller::Question;

/// What of a script a person is shown.
const SHOWN_CHARS: usize = 1500;

/// The key of the answer.
const ANSWER: &str = "answer";

/// The name of the question where it comes as the result of a call.
const CONSENT: &str = "consent";

/// Whether the client can ask its user.
pub(crate) fn can(client: &ClientCapabilities) -> bool {
    // One that names neither form nor link means forms.
    client.elicitation.as_ref().is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}

/// The user's answer; `None` when there is none. The client takes its question back when that is `settled` otherwise.
pub(crate) async fn consent(
    peer: &Peer<RoleServer>,
    question: &Question,
    revision: Option<&ProtocolVersion>,
    settled: impl Future<Output = ()>,
) -> Option<ConsentAnswer> {
    let knows_titles = revision.is_none_or(|revision| *revision >= ProtocolVersion::V_2025_11_25);
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(params(question, knows_titles)?));
    let mut asked = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await.ok()?;
    tokio::select! {
        answered = &mut asked.rx => match answered.ok()?.ok()? {
            ClientResult::ElicitResult(answered) => answer(answered),
            _ => None,
        },
        () = settled => {
            // A client that has gone shows nothing any more.
            let _ = asked.cancel(Some("it was answered in Blender, or the call has ended".to_owned())).await;
            None
        }
    }
}

/// The question as the result of a call that the client shall repeat with the answer; `state` names the call.
pub(crate) fn as_result(question: &Question, state: String) -> Option<InputRequiredResult> {
    let request = InputRequest::Elicitation(ElicitRequest::new(params(question, true)?));
    Some(InputRequiredResult::new(Some([(CONSENT.to_owned(), request)].into()), Some(state)))
}

/// The answer in what a client brings back to [`as_result`].
pub(crate) fn brought(responses: Option<InputResponses>) -> Option<ConsentAnswer> {
    answer(serde_json::from_value(responses?.remove(CONSENT)?).ok()?)
}

fn answer(answered: ElicitResult) -> Option<ConsentAnswer> {
    match answered.action {
        ElicitationAction::Accept => ConsentAnswer::named(answered.content?.get(ANSWER)?.as_str()?),
        ElicitationAction::Decline => Some(ConsentAnswer::Never),
        _ => None,
    }
}

fn params(question: &Question, knows_titles: bool) -> Option<ElicitRequestParams> {
    let Question { title, code, wants, .. } = question;
    let shown: String = code.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < code.len() { "\n… and more" } else { "" };
    let wants = wants_in_words(wants);
    let message = format!("In Blender “{title}” wants to {wants}. Its code:\n\n{shown}{more}");
    let titles = ["Once", "For this session", "Never: refuse it"].map(str::to_owned).to_vec();
    let names = ConsentAnswer::ALL.map(|answer| answer.name().to_owned()).to_vec();
    let choice = if knows_titles {
        EnumSchema::builder(names).enum_titles(titles).ok()?.build()
    } else {
        let mut choice = LegacyEnumSchema::new(names);
        choice.enum_names = Some(titles);
        EnumSchema::Legacy(choice)
    };
    let requested_schema = ElicitationSchema::builder().required_enum_schema(ANSWER, choice).build().ok()?;
    Some(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema })
}
