// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that a model reads of this server before its first call: a change of wording or schema is a reviewed
//! diff of the snapshot, and the whole stays small, because every session pays for it.

use blendwire_mcp::{INSTRUCTIONS, other_definitions, tool_definitions};

/// SPEC §6.
const MOST_TOOLS_BYTES: usize = 12 * 1024;
const MOST_INSTRUCTIONS_BYTES: usize = 3 * 1024;

#[test]
fn the_agent_surface_is_as_reviewed() {
    insta::assert_snapshot!("instructions", INSTRUCTIONS);
    for tool in tool_definitions() {
        insta::assert_snapshot!(tool.name.to_string(), serde_json::to_string_pretty(&tool).unwrap());
    }
    insta::assert_snapshot!("resources_and_prompts", serde_json::to_string_pretty(&other_definitions()).unwrap());
}

#[test]
fn the_agent_surface_is_small() {
    let tools = serde_json::to_string(&serde_json::json!({"tools": tool_definitions()})).unwrap();
    let others = other_definitions().to_string();
    insta::assert_snapshot!(
        "sizes",
        format!(
            "tools/list: {} bytes\ninstructions: {} bytes\nresources and prompts: {} bytes",
            tools.len(),
            INSTRUCTIONS.len(),
            others.len()
        )
    );
    assert!(tools.len() < MOST_TOOLS_BYTES, "tools/list has {} bytes", tools.len());
    assert!(INSTRUCTIONS.len() < MOST_INSTRUCTIONS_BYTES, "the instructions have {} bytes", INSTRUCTIONS.len());
}
