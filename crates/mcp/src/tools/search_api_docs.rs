// SPDX-License-Identifier: GPL-3.0-or-later
//! `search_api_docs`: finds what there is in the running Blender's Python API by words.

use std::fmt::Write as _;

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Failure, ToolEntry, Work, any_object, api_docs, looks, parameters, told, tool};
use crate::caller::Caller;
use crate::docs::notes_on;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::object::<Found>(),
};

const NAME: &str = "search_api_docs";

const DESCRIPTION: &str = "Search this Blender's Python API by words.";

/// What a result shows of a text and of a signature, in characters: the exact look-up has the rest.
const SHOWN_TEXT: usize = 160;
const SHOWN_SIGNATURE: usize = 200;

const MOST_RESULTS: usize = 50;

/// Hits far below the best are about something else.
const WORST: f32 = 0.15;

/// The official connector's further parameters say how much of a page to show, and there are no pages here.
#[derive(Deserialize, JsonSchema)]
struct Parameters {
    query: String,
    #[serde(default = "usual")]
    #[schemars(with = "serde_json::Number")]
    max_results: u64,
}

const CHANGED: &str = "changed between versions: see get_python_api_docs";

/// What was found.
#[derive(Serialize, JsonSchema)]
struct Found {
    status: &'static str,
    /// Best first
    hits: Vec<Hit>,
    /// How many more there are
    more: usize,
    /// What to do where nothing was found
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Hit {
    /// For `get_python_api_docs`
    path: String,
    /// `type`, `property`, `operator`, `function`, …
    kind: String,
    signature: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// Where versions of Blender differ in it
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

fn usual() -> u64 {
    10
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let Parameters { query, max_results } = parameters(arguments)?;
    if query.trim().is_empty() {
        return Err(Failure("`query` is empty; give a few words, such as: bevel modifier segments".to_owned()));
    }
    let index = api_docs::index(caller, NAME).await?;
    // Milliseconds, which a server inside Blender does not take from its other clients.
    let (searched, words) = (index.clone(), query.clone());
    let ranked = tokio::task::spawn_blocking(move || searched.search(&words)).await;
    let ranked = ranked.map_err(|error| Failure(format!("the documentation could not be searched: {error}")))?;
    let best = ranked.first().map_or(0.0, |(_, score)| *score);
    let worth = ranked.iter().take_while(|(_, score)| *score >= best * WORST).count();
    let shown = worth.min(usize::try_from(max_results).unwrap_or(MOST_RESULTS).clamp(1, MOST_RESULTS));
    let hits: Vec<Hit> = ranked[..shown]
        .iter()
        .map(|(entry, _)| {
            let entry = &index.entries[*entry as usize];
            Hit {
                path: entry.path.to_string(),
                kind: entry.kind.to_string(),
                signature: cut(&entry.signature, SHOWN_SIGNATURE),
                summary: (!entry.text.is_empty()).then(|| cut(&entry.text, SHOWN_TEXT)),
                note: notes_on(&entry.path).next().map(|_| CHANGED),
            }
        })
        .collect();
    let message = hits.is_empty().then(|| nothing(&query));
    told(&Found { status: "ok", hits, more: worth - shown, message })
}

/// What to do where nothing was found.
fn nothing(query: &str) -> String {
    let mut told = format!(
        "Nothing in this Blender's API has any of the words of {query:?}. Try Blender's own words in English, "
    );
    let _ =
        write!(told, "as its interface and manual have them (modifier, keyframe, constraint, …), or fewer of them; ");
    let _ = write!(told, "get_python_api_docs with \"bpy.types.*\" or \"bpy.ops.*\" lists names.");
    told
}

/// The beginning of a text, where it is longer.
fn cut(text: &str, most: usize) -> String {
    let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}
