// SPDX-License-Identifier: GPL-3.0-or-later
//! `get_python_api_docs`: one thing of the running Blender's Python API, by its name.

use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Failure, ToolEntry, Work, any_object, api_docs, looks, parameters, read, run, told, tool};
use crate::caller::Caller;
use crate::docs::notes_on;

pub(super) const TOOL: ToolEntry = ToolEntry {
    name: NAME,
    definition,
    work: Work::Call(|caller, arguments| Box::pin(call(caller, arguments))),
    answer: Answer::object::<Documentation>(),
};

const NAME: &str = "get_python_api_docs";

const DESCRIPTION: &str = "Look up a name of this Blender's Python API, and what versions changed; `bpy.ops.mesh.*` \
    lists names.";

const SNIPPET: &str = concat!(include_str!("api_signatures.py"), "\n\n", include_str!("get_python_api_docs.py"));

/// How many names a list has at most, and how many near ones are told.
const MOST_NAMES: usize = 1500;
const MOST_NEAR: usize = 8;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Parameters {
    identifier: String,
}

#[derive(Deserialize)]
struct Told {
    found: Option<Documentation>,
}

/// What there is to know of a name; or, of a `…*`, the names below it.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Documentation {
    #[serde(default)]
    status: String,
    /// `type`, `property`, `operator`, `function`, `names`, …
    kind: String,
    path: String,
    /// What versions of Blender changed about it, and what to write instead
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<String>,
    /// Those right below
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    /// How many more names there are; of a type with many members, how to see the others
    #[serde(default, skip_serializing_if = "Option::is_none")]
    more: Option<More>,
    /// By kind: `signature`, `label`, `description`, `type`, `default`, limits, `items` of an enum, `parameters`, `returns`,
    /// `properties`, `functions`, `inputs` and `outputs` of a node, …
    #[serde(flatten)]
    described: JsonObject,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum More {
    Count(usize),
    How(String),
}

fn definition() -> Tool {
    tool::<Parameters>(NAME, DESCRIPTION, looks()).with_raw_output_schema(any_object())
}

async fn call(caller: &Caller, arguments: JsonObject) -> Result<CallToolResult, Failure> {
    let parameters: Parameters = parameters(arguments)?;
    let identifier = parameters.identifier.trim().trim_end_matches("()").to_owned();
    if let Some(of) = identifier.strip_suffix('*') {
        return names_of(caller, of.trim_end_matches('.')).await;
    }
    let told = run(caller, NAME, SNIPPET, &json!({"identifier": identifier})).await?;
    let Some(mut found) = read::<Told>(&told)?.found else {
        return match names_of(caller, &identifier).await {
            Ok(names) => Ok(names),
            Err(_) => unknown(caller, &identifier).await,
        };
    };
    found.changes = notes_on(&found.path).collect();
    "ok".clone_into(&mut found.status);
    self::told(&found)
}

/// The names right below a module, a type, or the operators' groups.
async fn names_of(caller: &Caller, path: &str) -> Result<CallToolResult, Failure> {
    let index = api_docs::index(caller, NAME).await?;
    let names = index.below(path);
    if names.is_empty() {
        return Err(Failure(format!("there is nothing below {path:?}")));
    }
    let mut short: Vec<String> = names.iter().map(|name| name.rsplit('.').next().unwrap_or(name).to_owned()).collect();
    let more = short.len().saturating_sub(MOST_NAMES);
    short.truncate(MOST_NAMES);
    let (status, path, kind) = ("ok".to_owned(), path.to_owned(), "names".to_owned());
    told(&Documentation {
        status,
        kind,
        path,
        names: Some(short),
        more: Some(More::Count(more)),
        ..Documentation::default()
    })
}

/// What to try where there is nothing of that name; what has gone with an earlier version, by what.
async fn unknown(caller: &Caller, identifier: &str) -> Result<CallToolResult, Failure> {
    let index = api_docs::index(caller, NAME).await?;
    let mut told = format!("This Blender's API has no {identifier:?}.");
    for note in notes_on(identifier) {
        told = format!("{told}\n{note}");
    }
    let near = index.nearest(identifier, MOST_NEAR).join("\n");
    Err(Failure(format!("{told}\nThe nearest names:\n{near}\nsearch_api_docs finds by words what something does.")))
}
