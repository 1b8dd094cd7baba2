//! A hyper client under the tower layer: `cargo run -p countersign-client --example tower --features tower --
//! client.toml http://127.0.0.1:8080/orders`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use countersign_client::{Client, ClientConfig, DpopClientLayer};
use countersign_dpop::time::SystemClock;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tower_layer::Layer;
use tower_service::Service;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(url)) = (arguments.next(), arguments.next()) else { return Err("FILE URL".into()) };
    let file = Path::new(&file);
    let config = ClientConfig::parse(&std::fs::read_to_string(file)?, file.parent().unwrap_or(Path::new(".")))?;
    let keys = config.keys().store.open(None, Arc::new(SystemClock))?;
    let client = Client::open(&config, keys.as_ref(), Arc::new(SystemClock))?;
    let answer = orders(client, &url).await.map_err(|fault| fault.to_string())?;
    std::io::Write::write_all(&mut std::io::stdout(), answer.as_bytes())?;
    Ok(())
}

/// Plain HTTP for a gateway on this machine; a connector with TLS goes in the same place.
pub(crate) async fn orders(client: Client, url: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    let plain: legacy::Client<_, Full<Bytes>> = legacy::Client::builder(TokioExecutor::new()).build_http();
    let mut service = DpopClientLayer::new(client).layer(plain);
    let request = http::Request::get(url).body(Full::default())?;
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    let body = service.call(request).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}
