// SPDX-License-Identifier: GPL-3.0-or-later
//! The MCP server itself: who it is, what it lists, and where a call goes.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ServerHandler, ServiceExt};

use crate::caller::{self, Caller};
use crate::{Blender, docs, tools};

/// What the model is told about this server, once per session.
pub const INSTRUCTIONS: &str = include_str!("instructions.md");

/// Longest line from the client in bytes: the 64 MiB that the wire allows a script, written as JSON.
const LONGEST_LINE_BYTES: usize = 128 * 1024 * 1024;

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

/// An MCP server that drives one Blender at a time.
#[derive(Clone)]
pub struct Server {
    blender: Arc<dyn Blender>,
    docs: Arc<docs::Library>,
}

impl Server {
    /// A server for this Blender. Touches neither Blender nor the network.
    pub fn new(blender: Arc<dyn Blender>) -> Self {
        Self { blender, docs: Arc::default() }
    }
}

/// Serves MCP on stdin and stdout until the client closes them.
///
/// # Errors
/// When the client does not speak MCP. A client that goes away without a word is no error.
pub async fn serve_stdio(blender: Arc<dyn Blender>) -> Result<(), ServeError> {
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
    let transport = AsyncRwTransport::new(reader, writer).with_max_line_length(LONGEST_LINE_BYTES);
    match Server::new(blender).serve(transport).await {
        Ok(session) => session.waiting().await.map(drop).map_err(ServeError::from),
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(ServeError::Begin(Box::new(error))),
    }
}

/// Every tool as clients see it, in the order in which they see it.
pub fn tool_definitions() -> Vec<Tool> {
    tools::TOOLS.iter().map(|entry| (entry.definition)()).collect()
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let identity = Implementation::new("blendwire", env!("CARGO_PKG_VERSION")).with_title("Blender (Blendwire)");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(identity)
            .with_instructions(INSTRUCTIONS)
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
        let arguments = request.arguments.unwrap_or_default();
        let token = context.meta.get_progress_token();
        let (caller, progress) = Caller::new(self.blender.as_ref(), &self.docs, &context.peer, token.is_some());
        let call = (entry.call)(&caller, arguments);
        // A call that is dropped is cancelled in Blender. The client has said that it wants no answer.
        let done = tokio::select! {
            done = call => done,
            never = caller::tell(&context.peer, token, progress) => match never {},
            () = context.ct.cancelled() => Err(tools::Failure::cancelled()),
        };
        Ok(done.unwrap_or_else(tools::Failure::into_result).into())
    }
}
