// SPDX-License-Identifier: GPL-3.0-or-later
//! The MCP server itself: who it is, what it lists, and where a call goes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, GetPromptRequestParams,
    GetPromptResponse, Implementation, InputResponses, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ServerHandler, ServiceExt};

use crate::caller::Caller;
use crate::defect::caught;
use crate::jobs::{Job, Jobs};
use crate::large::{DEFAULT_LIMIT_BYTES, LargeResults};
use crate::output::{self, Level, SetLevel};
use crate::tools::{Failure, ToolEntry, Wish, Work};
use crate::visitor::Visitor;
use crate::waiting::{Waited, Waiter};
use crate::{Blender, docs, elicit, prompts, resources, tools};

/// What the model is told about this server, once per session.
pub const INSTRUCTIONS: &str = include_str!("instructions.md");

/// The revisions of MCP that are spoken, oldest first.
pub fn revisions() -> Vec<String> {
    ProtocolVersion::KNOWN_VERSIONS.iter().map(ToString::to_string).collect()
}

/// Longest line from the client in bytes: the 64 MiB that the wire allows a script, written as JSON.
const LONGEST_LINE_BYTES: usize = 128 * 1024 * 1024;

/// How long a call is waited for. Clients give up after a minute and more.
const DEFAULT_WAIT: Duration = Duration::from_secs(45);

/// What clients get of a server: all that it has, and for the conformance suite what that calls by name.
#[cfg(not(feature = "fixtures"))]
pub(crate) type Served = Server;
#[cfg(feature = "fixtures")]
pub(crate) type Served = crate::fixtures::WithFixtures;

#[cfg(not(feature = "fixtures"))]
pub(crate) fn served(server: Server) -> Served {
    server
}
#[cfg(feature = "fixtures")]
pub(crate) fn served(server: Server) -> Served {
    crate::fixtures::WithFixtures(server)
}

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The client did not begin as MCP wants it.
    #[error("the MCP session could not begin: {0}")]
    Begin(Box<ServerInitializeError>),
    /// The task that served it failed.
    #[error("the MCP session broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// An MCP server that drives one Blender at a time. Its clones are one server: a job that one began another can be asked for.
#[derive(Clone, Debug)]
pub struct Server {
    blender: Arc<dyn Blender>,
    /// The same as this session alone has it, where each has its own; `blender` is then for clients that keep none.
    own: Option<Arc<dyn Blender>>,
    docs: Arc<docs::Library>,
    jobs: Arc<Jobs>,
    large: Arc<LargeResults>,
    /// The least severe message that the client of this session wants; `None` until it says so.
    level: Arc<Mutex<Option<Level>>>,
    /// What this session was last told of a Blender whose server is none of this project.
    told: Arc<Mutex<Option<String>>>,
}

impl Server {
    /// A server for this Blender. Touches neither Blender nor the network.
    pub fn new(blender: Arc<dyn Blender>) -> Self {
        Self {
            blender,
            own: None,
            docs: Arc::default(),
            jobs: Arc::default(),
            large: Arc::default(),
            level: Arc::default(),
            told: Arc::default(),
        }
    }

    /// The same server for another client.
    #[must_use]
    pub fn another_session(&self) -> Self {
        Self { own: self.blender.for_session(), level: Arc::default(), told: Arc::default(), ..self.clone() }
    }

    /// The Blender that a request of this client goes to.
    fn blender(&self, context: &RequestContext<RoleServer>) -> &Arc<dyn Blender> {
        match &self.own {
            Some(own) if !is_stateless(context) => own,
            _ => &self.blender,
        }
    }

    pub(crate) fn level(&self) -> Option<Level> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `job` as the client of `context` wants it, and makes the answer.
    async fn answer(
        &self,
        job: Arc<Job>,
        context: &RequestContext<RoleServer>,
        longest: Duration,
    ) -> Result<CallToolResponse, Failure> {
        match Waiter::new(context, self.level()).wait(&job, longest).await {
            Waited::Done(result) => {
                let result = self.fit(result, job.result_bytes, context);
                Ok(self.naming_foreign(self.blender(context), result).into())
            }
            Waited::TakenBack => {
                // Also where it is kept, or was begun by an earlier call.
                self.jobs.end(&job);
                Err(Failure::cancelled())
            }
            Waited::NotYet => {
                self.jobs.keep(&job)?;
                Ok(tools::told(&job.shown())?.into())
            }
            Waited::Asks(question) => {
                self.jobs.keep(&job)?;
                // Blender asks as well; a question that cannot be put here is left to it.
                match elicit::as_result(&question, job.id.clone()) {
                    Some(asks) => Ok(asks.into()),
                    None => Ok(tools::told(&job.shown())?.into()),
                }
            }
        }
    }

    /// `result`, or what stands for it where it is too large, in a form that the client of `context` takes.
    fn fit(&self, result: CallToolResult, limit_bytes: usize, context: &RequestContext<RoleServer>) -> CallToolResult {
        let mut result = self.large.fit(result, limit_bytes);
        // Links to resources came with that revision. Older clients refuse an answer with one, and its text says the same.
        if context.protocol_version().is_some_and(|revision| revision < ProtocolVersion::V_2025_06_18) {
            result.content.retain(|block| !matches!(block, ContentBlock::ResourceLink(_)));
        }
        result
    }

    /// The first answer through a server of another kind says so: it has not all that the instructions promise.
    fn naming_foreign(&self, blender: &Arc<dyn Blender>, mut result: CallToolResult) -> CallToolResult {
        let Some(foreign) = blender.foreign() else { return result };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(&foreign) {
            result.content.push(ContentBlock::text(foreign.clone()));
            *told = Some(foreign);
        }
        result
    }

    /// Goes on with a call whose client was asked for the user's answer.
    async fn resume(&self, state: &str, responses: Option<InputResponses>) -> Result<Arc<Job>, Failure> {
        let job = self.jobs.named(state)?;
        let question = job.heard().borrow().question.clone();
        if let (Some(question), Some(answer)) = (question, elicit::brought(responses)) {
            // Somebody may have answered in Blender meanwhile, which is as good.
            let _ = job.blender().consent(&question.id, answer).await;
        }
        Ok(job)
    }

    async fn work(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        entry: &ToolEntry,
    ) -> Result<CallToolResponse, Failure> {
        let arguments = request.arguments.unwrap_or_default();
        let Limits { wait, result_bytes } = Limits::read(&arguments)?;
        if let Some(state) = request.request_state {
            let job = self.resume(&state, request.input_responses).await?;
            return self.answer(job, context, wait).await;
        }
        match entry.work {
            Work::Call(call) => {
                let job = {
                    let (caller, heard) =
                        Caller::new(self.blender(context).clone(), self.docs.clone(), Visitor::of(context));
                    self.jobs.begin(caller, heard, entry.name, call, arguments, result_bytes)
                };
                self.answer(job, context, wait).await
            }
            Work::Jobs(read) => match read(arguments)? {
                Wish::Wait(id) => self.answer(self.jobs.named(&id)?, context, wait).await,
                Wish::List => Ok(self.fit(CallToolResult::structured(self.jobs.list()), result_bytes, context).into()),
                Wish::Cancel(id) => Ok(tools::told(&self.jobs.cancel(&id).await?)?.into()),
            },
        }
    }
}

/// Whether each request of this client stands alone, by its revision of MCP.
pub(crate) fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// Longest wait: longer than any, and no more than clocks can count on from now.
const LONGEST_WAIT: Duration = Duration::from_hours(365 * 24);

/// How long the answer to a call may take and be. These arguments are the server's, whichever tool names them.
struct Limits {
    wait: Duration,
    result_bytes: usize,
}

impl Limits {
    fn read(arguments: &JsonObject) -> Result<Self, Failure> {
        let wait = arguments.get("wait_secs").and_then(serde_json::Value::as_f64).map(|secs| {
            let wait = Duration::try_from_secs_f64(secs);
            wait.map_err(|_| Failure::new(format!("wait_secs must be a number of seconds from 0, not {secs}")))
        });
        let bytes = arguments.get("max_result_bytes").and_then(serde_json::Value::as_u64);
        Ok(Self {
            wait: wait.transpose()?.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT),
            result_bytes: bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(DEFAULT_LIMIT_BYTES),
        })
    }
}

/// For a resource that did not come: unlike a call it cannot become a job.
fn busy() -> ErrorData {
    let why = format!(
        "Blender did not come to this within {} s; get_blender_status says what it does, then read this again",
        DEFAULT_WAIT.as_secs()
    );
    ErrorData::internal_error(why, None)
}

/// Serves MCP on stdin and stdout until the client closes them.
///
/// # Errors
/// When the client does not speak MCP. A client that goes away without a word is no error.
pub async fn serve_stdio(blender: Arc<dyn Blender>) -> Result<(), ServeError> {
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
    let transport = AsyncRwTransport::new(reader, writer).with_max_line_length(LONGEST_LINE_BYTES);
    match served(Server::new(blender)).serve(transport).await {
        Ok(session) => session.waiting().await.map(drop).map_err(ServeError::from),
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(ServeError::Begin(Box::new(error))),
    }
}

/// Every tool as clients see it, in the order in which they see it.
pub fn tool_definitions() -> Vec<Tool> {
    tools::TOOLS.iter().map(|entry| (entry.definition)()).collect()
}

/// What else clients list: `resources`, `resourceTemplates` and `prompts`.
pub fn other_definitions() -> serde_json::Value {
    serde_json::json!({
        "resources": resources::list(),
        "resourceTemplates": resources::templates(),
        "prompts": prompts::list(),
    })
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let identity = Implementation::new("blendwire", env!("CARGO_PKG_VERSION")).with_title("Blender (Blendwire)");
        let capabilities = ServerCapabilities::builder().enable_prompts().enable_resources().enable_tools().build();
        ServerConfig::new(output::announced(capabilities)).with_server_info(identity).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tool_definitions()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(entry) = tools::TOOLS.iter().find(|entry| entry.name == request.name) else {
            let names: Vec<_> = tools::TOOLS.iter().map(|entry| entry.name).collect();
            let message = format!("there is no tool {:?}; there are {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let answered = caught("mcp_call", Box::pin(self.work(request, &context, entry))).await;
        Ok(answered.unwrap_or_else(|failure| failure.into_result().into()))
    }

    async fn set_level(&self, request: SetLevel, _context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(output::asked(&request));
        Ok(())
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        caught("mcp_list", async {
            let mut all = resources::list();
            all.extend(self.large.list());
            Ok(ListResourcesResult::with_all_items(all))
        })
        .await
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let reading = resources::read(self.blender(&context), &self.large, &request.uri, Visitor::of(&context));
        let reading = caught("mcp_resource", Box::pin(reading));
        tokio::select! {
            // Dropped, it is cancelled in Blender too.
            read = tokio::time::timeout(DEFAULT_WAIT, reading) => read.unwrap_or_else(|_| Err(busy())).map(Into::into),
            () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
        }
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::list()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompt = async { prompts::get(&request.name, request.arguments.as_ref()).map(Into::into) };
        caught("mcp_prompt", prompt).await
    }
}
