// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads what there is in Blender's API, for searches: a part per script, so that whatever else Blender has to do comes
//! in between.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, read, run};
use crate::caller::Caller;
use crate::docs::{Begun, Index, Row};

const FINGERPRINT: &str = include_str!("api_fingerprint.py");
const READER: &str = concat!(include_str!("api_signatures.py"), "\n\n", include_str!("search_api_docs.py"));
const PART: &str = include_str!("search_api_docs_part.py");

/// Under which name the reader stays in Blender meanwhile; other versions have others.
const KEPT_AS: &str = concat!("blendwire_api_docs_", env!("CARGO_PKG_VERSION"));

/// How long a part takes in Blender, apart from the last thing in it.
const PART_MILLISECONDS: u32 = 8;

/// The same where each request takes long, whatever is in it: a foreign add-on looks for one a few times a second at most.
const PART_MILLISECONDS_OF_FOREIGN: u32 = 500;

/// How long Blender is left alone between two parts, so that its window draws.
const PAUSE: Duration = Duration::from_millis(4);

/// How often to begin again with an API that changes while it is read.
const MOST_BEGINNINGS: usize = 3;

#[derive(Deserialize)]
struct Fingerprint {
    fingerprint: Vec<String>,
}

#[derive(Deserialize)]
struct Part {
    rows: Option<Vec<Row>>,
    at: Value,
}

/// The documentation of the Blender that runs, read where it was not read yet. Who asks meanwhile waits for the same.
pub(super) async fn index(caller: &Caller, tool: &'static str) -> Result<Arc<Index>, Failure> {
    let library = &caller.docs;
    for _ in 0..MOST_BEGINNINGS {
        let fingerprint = fingerprint(caller, tool).await?;
        if let Some(index) = library.finished(&fingerprint) {
            return Ok(index);
        }
        let mut begun = library.begun.lock().await;
        // Whoever was waited for may have read it.
        if let Some(index) = library.finished(&fingerprint) {
            return Ok(index);
        }
        let kept = begun.take().filter(|begun| begun.fingerprint == fingerprint);
        // Kept where others find it: a call that is cancelled ends at an await, and the next goes on from there.
        let reading = begun.insert(kept.unwrap_or_else(|| Begun::new(&fingerprint)));
        loop {
            let part = part(caller, tool, &reading.at).await?;
            reading.rows.extend(part.rows.unwrap_or_default());
            reading.at = part.at;
            if reading.at.is_null() {
                break;
            }
        }
        // Read to its end, it is nothing to go on from.
        let rows = begun.take().map(|begun| begun.rows).unwrap_or_default();
        if self::fingerprint(caller, tool).await? == fingerprint {
            // Kept by that task: it goes on where the call is cancelled.
            let library = library.clone();
            let kept = tokio::task::spawn_blocking(move || library.keep(fingerprint, Index::new(rows))).await;
            return kept.map_err(|error| Failure(format!("the documentation could not be indexed: {error}")));
        }
    }
    Err(Failure("Blender's add-ons change while its API is read; try again when they have settled".to_owned()))
}

async fn fingerprint(caller: &Caller, tool: &'static str) -> Result<String, Failure> {
    let told = run(caller, tool, FINGERPRINT, &json!({})).await?;
    Ok(read::<Fingerprint>(&told)?.fingerprint.join("\n"))
}

/// What comes after `at`.
async fn part(caller: &Caller, tool: &'static str, at: &Value) -> Result<Part, Failure> {
    let milliseconds =
        if caller.blender().foreign().is_some() { PART_MILLISECONDS_OF_FOREIGN } else { PART_MILLISECONDS };
    let parameters = json!({"kept_as": KEPT_AS, "at": at, "milliseconds": milliseconds});
    // Blender draws its viewports anew after each part with nodes, unless the next is there already.
    let pause = if at.get(0).is_some_and(|stage| stage == "nodes") { Duration::ZERO } else { PAUSE };
    for _ in 0..MOST_BEGINNINGS {
        tokio::time::sleep(pause).await;
        let part: Part = read(&run(caller, tool, PART, &parameters).await?)?;
        if part.rows.is_some() {
            return Ok(part);
        }
        run(caller, tool, READER, &json!({"keep_as": KEPT_AS})).await?;
    }
    Err(Failure("Blender did not keep what reads its API; try again".to_owned()))
}
