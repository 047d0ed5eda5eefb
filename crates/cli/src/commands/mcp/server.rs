//! The server: it lists the tools and calls them.

use std::io::{IsTerminal, stdin};
use std::sync::Arc;

use metaxy_store::{Error, ErrorKind, Result};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::io::stdio_pipes;
use rmcp::{ServerHandler, ServiceExt};
use serde_json::Value;

use super::tools::{self, TOOLS};
use crate::project::Project;
use crate::report;

/// What models are told before they choose a tool.
const INSTRUCTIONS: &str = "Metaxy tells which samples of a data pipeline are new, stale or orphaned, before anything is computed. \
A feature is a table of samples; it depends on fields of other features. Start with list_features, then status. All tools only read.";

pub(super) async fn run(project: Project) -> Result<()> {
    if stdin().is_terminal() {
        report::note("waiting for a client that speaks the Model Context Protocol; Ctrl-C ends it");
    }
    let server = Server(Arc::new(project));
    let failed = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Io, format!("{what}: {source}"))
            .with_source(source)
            .with_hint("`metaxy mcp` is started by a client, such as an editor or a chat program")
    };
    let running = server
        .serve(stdio_pipes())
        .await
        .map_err(|e| failed("no client began a session on standard input", e.into()))?;
    let ended = running.waiting().await;
    ended
        .map(drop)
        .map_err(|e| failed("the session broke off", e.into()))
}

struct Server(Arc<Project>);

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("metaxy", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = TOOLS.iter().map(tools::Described::tool).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let described = TOOLS.iter().find(|tool| tool.name == name);
        described.map(tools::Described::tool)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let Some(answer) = tools::call(&self.0, &request.name, arguments).await else {
            let message = format!("there is no tool {:?}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let result = match answer {
            Ok(document) => {
                let text = ContentBlock::text(document.to_string());
                let mut result = CallToolResult::success(vec![text]);
                result.structured_content = Some(document);
                result
            }
            Err(error) => CallToolResult::error(vec![ContentBlock::text(report::plain(&error))]),
        };
        Ok(result.into())
    }
}
