// SPDX-License-Identifier: GPL-3.0-or-later
//! A session of a real MCP client (the SDK's) with a server over stdio, for callers without a runtime of their own.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ClientRequest,
    ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationCapability, ErrorData, GetPromptRequestParams,
    Implementation, ProtocolVersion, ReadResourceRequestParams, ResourceContents, Tool,
};
use rmcp::service::{PeerRequestOptions, RequestContext, RoleClient, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, ServiceExt as _};
use serde_json::{Map, Value, json};

/// Who sits in front of the client.
#[derive(Clone, Default)]
struct User {
    /// What they say to every question; a client without one cannot ask.
    answer: Option<ElicitResult>,
    questions: Arc<Mutex<Vec<String>>>,
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        if self.answer.is_none() {
            return ClientConfig::default();
        }
        // Later versions have no questions from the server.
        let mut capabilities = ClientCapabilities::default();
        capabilities.elicitation = Some(ElicitationCapability::default());
        let identity = Implementation::new("blendwire-test", "0");
        ClientConfig::new(capabilities, identity).with_protocol_version(ProtocolVersion::V_2025_11_25)
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let question = serde_json::to_string(&request).unwrap_or_default();
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).push(question);
        self.answer.clone().ok_or_else(|| ErrorData::internal_error("nobody is there", None))
    }
}

/// A running session; the server ends with it.
pub struct McpSession {
    runtime: tokio::runtime::Runtime,
    client: Option<RunningService<RoleClient, User>>,
    user: User,
    /// From starting the server to the end of the handshake.
    pub handshake: Duration,
    /// The server's process, while it runs.
    pub pid: Option<u32>,
}

/// One answered call.
pub struct ToolCall {
    /// What the server answered.
    pub result: CallToolResult,
    /// How long it took.
    pub took: Duration,
}

impl ToolCall {
    /// All text parts, one after another.
    pub fn text(&self) -> String {
        self.result.content.iter().filter_map(|part| part.as_text()).map(|text| text.text.as_str()).collect()
    }

    /// The structured content, or else the text parsed as JSON; null when it is neither.
    pub fn value(&self) -> Value {
        let structured = self.result.structured_content.clone();
        structured.or_else(|| serde_json::from_str(&self.text()).ok()).unwrap_or_default()
    }

    /// The first picture, as base64.
    pub fn image_base64(&self) -> Option<&str> {
        self.result.content.iter().find_map(|part| part.as_image()).map(|image| image.data.as_str())
    }

    /// Whether the server says that the call failed.
    pub fn is_error(&self) -> bool {
        self.result.is_error == Some(true)
    }
}

impl McpSession {
    /// Starts the server and shakes hands.
    ///
    /// # Errors
    /// When the server does not start or does not speak MCP.
    pub fn start(command: std::process::Command) -> Result<Self> {
        Self::start_with(command, Stdio::inherit(), User::default())
    }

    /// As [`McpSession::start`], with a user who accepts every question with this content, or declines it when there is none.
    ///
    /// # Errors
    /// As [`McpSession::start`].
    pub fn start_with_user(command: std::process::Command, content: Option<Value>) -> Result<Self> {
        let action = if content.is_some() { ElicitationAction::Accept } else { ElicitationAction::Decline };
        let mut answer = ElicitResult::new(action);
        answer.content = content;
        Self::start_with(command, Stdio::inherit(), User { answer: Some(answer), ..User::default() })
    }

    /// What the user was asked so far, as JSON.
    pub fn questions(&self) -> Vec<String> {
        self.user.questions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As [`McpSession::start`], with what the server logs in a file: some log every message.
    ///
    /// # Errors
    /// As [`McpSession::start`], or when the file cannot be made.
    pub fn start_with_log(command: std::process::Command, log: &Path) -> Result<Self> {
        Self::start_with(command, fs_err::File::create(log)?.into_file().into(), User::default())
    }

    fn start_with(command: std::process::Command, log: Stdio, user: User) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let before = Instant::now();
        let (client, pid) = runtime.block_on(async {
            let (transport, _) =
                TokioChildProcess::builder(tokio::process::Command::from(command)).stderr(log).spawn()?;
            let pid = transport.id();
            anyhow::Ok((user.clone().serve(transport).await?, pid))
        })?;
        Ok(Self { runtime, client: Some(client), user, handshake: before.elapsed(), pid })
    }

    /// Every tool that the server lists.
    ///
    /// # Errors
    /// The session's.
    pub fn tools(&self) -> Result<Vec<Tool>> {
        Ok(self.runtime.block_on(self.client()?.list_all_tools())?)
    }

    /// Calls a tool with a JSON object of arguments. Where they do not say how long to wait, its job is waited for, as a
    /// model does: on a busy machine calls take long.
    ///
    /// # Errors
    /// When the call itself is refused; a tool that failed is a result with [`ToolCall::is_error`].
    pub fn call(&self, name: &str, arguments: Value) -> Result<ToolCall> {
        let before = Instant::now();
        let waits = arguments.get("wait_secs").is_none();
        let mut call = self.call_once(name, arguments)?;
        while waits && call.value()["status"] == "running" && call.value()["job"].is_string() {
            call = self.call_once("get_job", json!({"job": call.value()["job"]}))?;
        }
        Ok(ToolCall { took: before.elapsed(), ..call })
    }

    fn call_once(&self, name: &str, arguments: Value) -> Result<ToolCall> {
        let arguments: Map<String, Value> = serde_json::from_value(arguments).context("arguments must be an object")?;
        let before = Instant::now();
        let request = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let result = self.runtime.block_on(self.client()?.call_tool(request))?;
        Ok(ToolCall { result, took: before.elapsed() })
    }

    /// The text of a resource, parsed as JSON.
    ///
    /// # Errors
    /// When the server refuses, or what it gives is no JSON.
    pub fn resource(&self, uri: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.resource_text(uri)?)?)
    }

    /// The text of a resource.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn resource_text(&self, uri: &str) -> Result<String> {
        let read = self.runtime.block_on(self.client()?.read_resource(ReadResourceRequestParams::new(uri)))?;
        match read.contents.into_iter().next() {
            Some(ResourceContents::TextResourceContents { text, .. }) => Ok(text),
            other => anyhow::bail!("no text: {other:?}"),
        }
    }

    /// The text of a prompt.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn prompt(&self, name: &str, arguments: Value) -> Result<String> {
        let arguments = serde_json::from_value(arguments).context("arguments must be an object")?;
        let request = GetPromptRequestParams::new(name).with_arguments(arguments);
        let prompt = self.runtime.block_on(self.client()?.get_prompt(request))?;
        Ok(serde_json::to_string(&prompt.messages)?)
    }

    /// Calls a tool, and takes the call back when `until` returns.
    ///
    /// # Errors
    /// The session's.
    pub fn call_and_cancel(&self, name: &str, arguments: Value, until: impl FnOnce() -> Result<()>) -> Result<()> {
        let arguments: Map<String, Value> = serde_json::from_value(arguments).context("arguments must be an object")?;
        let request = CallToolRequest::new(CallToolRequestParams::new(name.to_owned()).with_arguments(arguments));
        self.runtime.block_on(async {
            let options = PeerRequestOptions::no_options();
            let handle =
                self.client()?.send_cancellable_request(ClientRequest::CallToolRequest(request), options).await?;
            until()?;
            handle.cancel(Some("the test takes it back".to_owned())).await?;
            Ok(())
        })
    }

    fn client(&self) -> Result<&RunningService<RoleClient, User>> {
        self.client.as_ref().context("the session has ended")
    }
}

impl Drop for McpSession {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = self.runtime.block_on(client.cancel());
        }
    }
}
