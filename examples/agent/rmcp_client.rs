//! An MCP client in Rust, by the official SDK, over the agent's socket. It knows a path and nothing of authorization.
//!
//! Start the agent, then this:
//!
//!     countersign agent --resource https://mcp.example.com/mcp --socket ~/.countersign/mcp.sock
//!     cargo run --example rmcp-client -- ~/.countersign/mcp.sock read_ledger
//!
//! A client that speaks over a socket of its own is the best placed of all: no port, no path to guess, and the agent
//! knows which process asks.

use std::error::Error;

use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, ClientConfig};
use rmcp::transport::StreamableHttpClientTransport;

/// Lists the tools, and calls one of them.
///
/// # Errors
/// What the SDK says; a refusal of the agent has its code in it.
pub async fn list_and_call(socket: &str, tool: String) -> Result<(Vec<String>, String), Box<dyn Error + Send + Sync>> {
    // The host is only a name: the socket stands for one resource, its path included.
    let transport = StreamableHttpClientTransport::from_unix_socket(socket, "http://localhost/");
    let client = ClientConfig::default().serve(transport).await?;
    let tools = client.list_all_tools().await?.into_iter().map(|tool| tool.name.into_owned()).collect();
    let called = client.call_tool(CallToolRequestParams::new(tool)).await?;
    client.cancel().await?;
    Ok((tools, serde_json::to_string(&called)?))
}

#[expect(clippy::print_stdout, reason = "what it is for")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(tool)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rmcp-client SOCKET TOOL".into());
    };
    let (tools, said) = list_and_call(&socket, tool).await?;
    println!("{}\n{said}", tools.join(" "));
    Ok(())
}
