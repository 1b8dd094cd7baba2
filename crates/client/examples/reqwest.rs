//! A `reqwest` client that signs: `cargo run -p countersign-client --example reqwest --features reqwest-middleware --
//! client.toml https://api.example.com/orders`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use countersign_client::{Client, ClientConfig, DpopMiddleware};
use countersign_dpop::time::SystemClock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(url)) = (arguments.next(), arguments.next()) else { return Err("FILE URL".into()) };
    let file = Path::new(&file);
    let config = ClientConfig::parse(&std::fs::read_to_string(file)?, file.parent().unwrap_or(Path::new(".")))?;
    let keys = config.keys().store.open(None, Arc::new(SystemClock))?;
    let client = Client::open(&config, keys.as_ref(), Arc::new(SystemClock))?;
    std::io::Write::write_all(&mut std::io::stdout(), orders(client, &url).await?.as_bytes())?;
    Ok(())
}

/// Every request of this `reqwest` client carries the token and a proof of its own.
pub(crate) async fn orders(client: Client, url: &str) -> Result<String, Box<dyn Error>> {
    let http = DpopMiddleware::new(client.following_redirects(5)).into_client()?;
    Ok(http.get(url).send().await?.error_for_status()?.text().await?)
}
