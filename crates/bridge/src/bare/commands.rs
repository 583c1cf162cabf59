// SPDX-License-Identifier: GPL-3.0-or-later
//! What each command of mcp-for-blender comes to here: an answer of the network thread, or a script for Blender.
//!
//! A snippet is a file beside this one that defines `main`. Parameters travel as one JSON text inside one Python string
//! literal, so that nothing a client wrote is ever read as code.

use blendwire_protocol::{BARE_PROTOCOL_VERSION, BareRequest, BareResult, ErrorCode, Reply, Versions};
use serde::Serialize;
use serde_json::json;

/// What is to be done for a request.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing more: this is the answer.
    Answered(Reply),
    /// Nothing at all, for this reason.
    Refused(String),
    /// A script for the main thread.
    Run(Script),
}

/// A script for the main thread.
#[derive(Debug)]
pub(super) struct Script {
    /// What people see of it; without one, the first telling line of `code`.
    pub(super) title: Option<&'static str>,
    pub(super) code: String,
    /// What of it the client wants.
    pub(super) wanted: BareResult,
}

/// Turns a request into what is to be done.
pub(super) fn plan(versions: &Versions, request: BareRequest) -> Plan {
    match request {
        BareRequest::AddonInfo => Plan::Answered(addon_info(versions)),
        BareRequest::ServiceStatus(service) => Plan::Answered(switched_off(service)),
        BareRequest::TelemetryConsent | BareRequest::SetTelemetryConsent(false) => {
            Plan::Answered(Reply::of(&json!({"consent": false})))
        }
        BareRequest::SetTelemetryConsent(true) => Plan::Refused(NO_CONSENT.to_owned()),
        BareRequest::Ping => Plan::Answered(Reply::of(&json!({"pong": true}))),
        BareRequest::SceneInfo => call("get_scene_info", include_str!("get_scene_info.py"), &json!({})),
        BareRequest::ObjectInfo(name) => {
            call("get_object_info", include_str!("get_object_info.py"), &json!({"name": name}))
        }
        BareRequest::Screenshot(wanted) => {
            call("get_viewport_screenshot", include_str!("get_viewport_screenshot.py"), &wanted)
        }
        BareRequest::ExecuteCode(code) => Plan::Run(Script { title: None, code, wanted: BareResult::Printed }),
        BareRequest::Other(command) => Plan::Refused(not_served(&command)),
    }
}

/// Its client sends what people say and make to its authors when the add-on says that they agreed; nobody was asked here.
const NO_CONSENT: &str = "this Blender runs Blendwire, which has no setting to agree to data collection with, \
    and always answers that nobody agreed";

fn addon_info(versions: &Versions) -> Reply {
    let version: Vec<u32> = versions.addon.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
    Reply::of(&json!({
        "name": "Blendwire",
        "addon_version": version,
        "protocol_version": BARE_PROTOCOL_VERSION,
        "capabilities": BareRequest::SERVED,
        "blender_version": versions.blender,
        "premium_generators": [],
    }))
}

fn switched_off(service: &str) -> Reply {
    let message = format!(
        "{service} is not available: this Blender runs Blendwire, which fetches nothing from the network. \
         Import files that are on this computer with execute_code, or install mcp-for-blender's own add-on."
    );
    Reply::of(&json!({"enabled": false, "message": message}))
}

/// Its client takes the words "Unknown command type" for an old add-on, and would have the user install another one.
fn not_served(command: &str) -> String {
    const LONGEST_CHARS: usize = 60;
    let command: String = command.chars().take(LONGEST_CHARS).collect();
    format!(
        "{command:?} is not served: this Blender runs Blendwire, which knows these commands of mcp-for-blender: {}. \
         Do it with execute_code and bpy; or use Blendwire's own MCP server, `blendwire mcp`; \
         or stop Blendwire in Blender (3D view, N, tab MCP) and start mcp-for-blender's own add-on",
        BareRequest::SERVED.join(", ")
    )
}

/// The script that calls `main` of `snippet` with `parameters` as keyword arguments.
fn call(title: &'static str, snippet: &str, parameters: &impl Serialize) -> Plan {
    // Every escape that JSON writes in a string (`\"`, `\\`, `\n`, `\u0000`, …) means the same in one of Python's.
    let literal = serde_json::to_string(parameters).and_then(|text| serde_json::to_string(&text));
    match literal {
        Ok(literal) => {
            let code = format!("{snippet}\n\nimport json\n\nresult = main(**json.loads({literal}))\n");
            Plan::Run(Script { title: Some(title), code, wanted: BareResult::Value })
        }
        // Parameters are strings and numbers, which can be written; told all the same.
        Err(error) => Plan::Answered(Reply::refused(ErrorCode::BadRequest, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(request: BareRequest) -> serde_json::Value {
        let versions = Versions { addon: "1.2.3-dev".to_owned(), blender: "5.2.3".to_owned(), ..Versions::default() };
        let Plan::Answered(Reply::Ok { result, .. }) = plan(&versions, request) else { panic!("not answered") };
        serde_json::from_slice(&result).unwrap()
    }

    #[test]
    fn what_its_server_asks_at_start_needs_no_main_thread() {
        let info = answered(BareRequest::AddonInfo);
        assert_eq!(info["addon_version"], json!([1, 2, 3]));
        assert_eq!((info["protocol_version"].as_u64(), info["blender_version"].as_str()), (Some(15), Some("5.2.3")));
        assert_eq!(answered(BareRequest::TelemetryConsent), json!({"consent": false}));
        assert_eq!(answered(BareRequest::ServiceStatus("Meshy"))["enabled"], false);
    }

    #[test]
    fn nobody_agrees_to_data_collection_through_this_server() {
        assert_eq!(answered(BareRequest::SetTelemetryConsent(false)), json!({"consent": false}));
        let refused = plan(&Versions::default(), BareRequest::SetTelemetryConsent(true));
        assert!(matches!(refused, Plan::Refused(_)));
    }

    #[test]
    fn what_a_client_wrote_stays_inside_the_literal() {
        let name = "a\"); import os #\n\\".to_owned();
        let Plan::Run(script) = plan(&Versions::default(), BareRequest::ObjectInfo(name)) else { panic!("no script") };
        assert_eq!(script.title, Some("get_object_info"));
        let last = script.code.lines().last().unwrap();
        assert_eq!(last, r#"result = main(**json.loads("{\"name\":\"a\\\"); import os #\\n\\\\\"}"))"#);
    }

    #[test]
    fn a_command_that_is_not_served_is_not_called_unknown() {
        let Plan::Refused(why) = plan(&Versions::default(), BareRequest::Other("x".repeat(100))) else {
            panic!("not refused")
        };
        assert!(!why.contains("Unknown command type") && why.contains("execute_code"), "{why}");
        assert!(!why.contains(&"x".repeat(61)), "{why}");
    }
}
