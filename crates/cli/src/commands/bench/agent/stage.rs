//! Who plays along: a thread for the agent, one for the resource and its issuer, and the load on the one that measures.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use countersign_agent::journal::Journal;
use countersign_agent::{Agent, AgentSettings, BindingSettings, Listen, Policy};
use countersign_client::config::{Authentication, KeyPlaces};
use countersign_client::keys::{KeyName, KeyPlace, KeyStore, MemoryKeyStore};
use countersign_client::{Client, ClientConfig, RequestBody};
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use countersign_dpop::time::SystemClock;
use countersign_forward::{ForwardLimits, Forwarder, Handover, Upstream};
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::commands::bench::measure::thread_cpu;
use crate::error::CommandError;

/// As long as a token of some claims is.
const TOKEN_LENGTH: usize = 800;
/// What the resource answers.
const ANSWER: &[u8] = br#"{"orders":[{"id":17,"item":"tea","amount":2},{"id":18,"item":"milk","amount":1}]}"#;

/// A thread with a runtime of its own, so that its CPU time is that of what runs there. It ends when this is dropped.
pub(super) struct Place {
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Place {
    pub(super) fn new() -> Result<Self, CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(CommandError::internal)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let _ = runtime.block_on(ended);
        });
        Ok(Self { handle, end: Some(end), thread: Some(thread) })
    }

    /// Does something there.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, CommandError> {
        self.handle.spawn(work).await.map_err(CommandError::internal)
    }

    /// The CPU time that the thread has used, in nanoseconds.
    pub(super) async fn cpu(&self) -> Result<u64, CommandError> {
        self.run(async { thread_cpu() }).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The resource and its issuer in one. Takes any token.
pub(super) async fn resource(place: &Place) -> Result<SocketAddr, CommandError> {
    place.run(serve(|address, request| async move { Ok(played(address, &request)) })).await?
}

fn played(address: SocketAddr, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let origin = format!("http://{address}");
    let body = match request.uri().path() {
        "/.well-known/oauth-authorization-server" => serde_json::json!({
            "issuer": origin, "token_endpoint": format!("{origin}/token"),
            "dpop_signing_alg_values_supported": ["ES256"],
        })
        .to_string()
        .into(),
        "/token" => serde_json::json!({
            "access_token": "t".repeat(TOKEN_LENGTH), "token_type": "DPoP", "expires_in": 86_400,
        })
        .to_string()
        .into(),
        _ => Bytes::from_static(ANSWER),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// What is signed for the comparison: as long as a proof's header and claims.
pub(super) const SIGNED: [u8; 320] = [7; 320];

/// A proxy that does nothing but forward: what is left of the agent without everything it is for. With a key it makes
/// one bare signature for each request, and throws it away.
pub(super) async fn plain_proxy(
    place: &Place,
    upstream: SocketAddr,
    key: Option<Arc<SoftwareKey>>,
) -> Result<SocketAddr, CommandError> {
    let upstream: Upstream = format!("http://{upstream}").parse().map_err(CommandError::internal)?;
    let forwarder = Forwarder::new(upstream, ForwardLimits::default()).map_err(CommandError::internal)?;
    place
        .run(serve(move |_, request| {
            let (forwarder, key) = (forwarder.clone(), key.clone());
            async move {
                if let Some(key) = key {
                    std::hint::black_box(key.sign_now(&SIGNED)).ok();
                }
                forwarder.forward(request, Handover::default()).await
            }
        }))
        .await?
}

/// Serves on a free port, for as long as the thread lives.
async fn serve<A, B, F>(answer: A) -> Result<SocketAddr, CommandError>
where
    A: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, countersign_forward::ForwardError>> + Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<countersign_forward::BoxError>,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(CommandError::internal)?;
    let address = listener.local_addr().map_err(CommandError::internal)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let answer = answer.clone();
            let service = service_fn(move |request| answer(address, request));
            tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// A client with a key of its own at that resource.
pub(super) fn client_of(resource: SocketAddr) -> Result<Client, CommandError> {
    let origin = format!("http://{resource}");
    let keys = MemoryKeyStore::new(Arc::new(SystemClock));
    let dpop = KeyName::parse("dpop").map_err(CommandError::internal)?;
    keys.generate(&dpop, Algorithm::Es256).map_err(CommandError::internal)?;
    let places = KeyPlaces { store: KeyPlace::Memory, dpop };
    let config = ClientConfig::new(&origin, "bench", Authentication::None, places)
        .and_then(|config| config.with_resource(&origin))
        .map_err(CommandError::internal)?;
    Client::open(&config, &keys, Arc::new(SystemClock)).map_err(CommandError::internal)
}

/// An agent that writes its journal below `directory`.
pub(super) fn agent(directory: &Path) -> Result<Agent, CommandError> {
    let journal = Journal::open(&directory.join("journal.jsonl"), Arc::new(SystemClock));
    let journal = journal.map_err(CommandError::internal)?;
    Agent::new(AgentSettings::default(), journal, Arc::new(SystemClock)).map_err(CommandError::internal)
}

/// What a binding of that name is made of.
pub(super) fn binding(name: &str, resource: SocketAddr, listen: Listen) -> Result<BindingSettings, CommandError> {
    Ok(BindingSettings {
        name: name.parse().map_err(CommandError::internal)?,
        resource: format!("http://{resource}"),
        client: client_of(resource)?,
        listen,
        policy: Policy::default(),
        scope: None,
        reason: None,
        lifetime: None,
    })
}

/// One connection on which requests go one after the other, as a program's do.
pub(super) struct Caller {
    sender: client::SendRequest<Full<Bytes>>,
    host: String,
    path: String,
}

impl Caller {
    /// Connects to the place of `url`, the path of which goes before every path.
    pub(super) async fn connect(url: &str) -> Result<Self, CommandError> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (host, base) = rest.split_once('/').unwrap_or((rest, ""));
        let stream = TcpStream::connect(host).await.map_err(CommandError::internal)?;
        stream.set_nodelay(true).map_err(CommandError::internal)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await.map_err(CommandError::internal)?;
        tokio::spawn(connection);
        let slash = if base.is_empty() { "" } else { "/" };
        Ok(Self { sender, host: host.to_owned(), path: format!("{slash}{base}/orders/17") })
    }

    /// One request; the time until the whole answer is there, in microseconds.
    pub(super) async fn call(&mut self) -> Result<f64, CommandError> {
        let request = Request::get(&self.path).header(HOST, &self.host).body(Full::default());
        let request = request.map_err(CommandError::internal)?;
        let began = Instant::now();
        let response = self.sender.send_request(request).await.map_err(CommandError::internal)?;
        let status = response.status();
        response.into_body().collect().await.map_err(CommandError::internal)?;
        took(began, status)
    }
}

/// The same by a client that makes token and proof in this process.
pub(super) async fn call_directly(client: &Client, resource: SocketAddr) -> Result<f64, CommandError> {
    let request = Request::get(format!("http://{resource}/orders/17")).body(RequestBody::empty());
    let request = request.map_err(CommandError::internal)?;
    let began = Instant::now();
    let response = client.call(request).await.map_err(CommandError::internal)?;
    let status = response.status();
    response.into_body().read_at_most(1_024).await.map_err(CommandError::internal)?;
    took(began, status)
}

fn took(began: Instant, status: StatusCode) -> Result<f64, CommandError> {
    let wrong = || CommandError::internal(format!("a measured request was answered with {status}"));
    if status == StatusCode::OK { Ok(began.elapsed().as_secs_f64() * 1e6) } else { Err(wrong()) }
}
