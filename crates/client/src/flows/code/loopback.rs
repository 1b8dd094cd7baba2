//! The loopback address that the browser is sent back to (RFC 8252 §7.3), for as long as a login takes.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// The path that is registered with issuers.
pub(crate) const CALLBACK: &str = "/callback";
/// The most connections at a time.
const CONNECTIONS: usize = 16;
/// The longest that a request head may take.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The most bytes of a request head.
const MAX_HEAD: usize = 16_384;

/// Listens on a free loopback port.
pub(crate) struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

/// A query that came to the callback, and where the page for the person goes.
pub(crate) struct Returned {
    pub(crate) query: String,
    reply: oneshot::Sender<Page>,
}

/// What the person reads in the browser in the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    LoggedIn,
    Refused,
}

impl Loopback {
    pub(crate) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The `redirect_uri` to ask with.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://{}{CALLBACK}", self.address)
    }

    /// Serves until the receiver is dropped.
    pub(crate) fn serve(self) -> mpsc::Receiver<Returned> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let connections = Arc::new(Semaphore::new(CONNECTIONS));
            loop {
                let Ok(permit) = connections.clone().acquire_owned().await else { return };
                let accepted = tokio::select! {
                    accepted = self.listener.accept() => accepted,
                    () = sender.closed() => return,
                };
                let Ok((stream, _)) = accepted else { continue };
                let door = Door { host: self.address.to_string(), sender: sender.clone() };
                tokio::spawn(async move {
                    door.serve(stream).await;
                    drop(permit);
                });
            }
        });
        receiver
    }
}

impl Returned {
    /// Answers the browser.
    pub(crate) fn answer(self, page: Page) {
        // A browser that has gone away reads no page.
        let _ = self.reply.send(page);
    }
}

#[derive(Clone)]
struct Door {
    host: String,
    sender: mpsc::Sender<Returned>,
}

impl Door {
    async fn serve(self, stream: tokio::net::TcpStream) {
        let service = service_fn(|request| self.clone().respond(request));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MAX_HEAD).keep_alive(false);
        // What goes wrong on a connection is the other side's concern.
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn respond(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let own_host = request.headers().get(header::HOST).is_some_and(|host| host.as_bytes() == self.host.as_bytes());
        if request.method() != Method::GET || request.uri().path() != CALLBACK || !own_host {
            return Ok(page(StatusCode::NOT_FOUND, "there is nothing here"));
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (reply, answered) = oneshot::channel();
        if self.sender.send(Returned { query, reply }).await.is_err() {
            return Ok(page(StatusCode::GONE, "nobody waits for this any more"));
        }
        Ok(match answered.await {
            Ok(Page::LoggedIn) => page(StatusCode::OK, "You are logged in. You can close this page."),
            Ok(Page::Refused) => page(StatusCode::BAD_REQUEST, "This answer was refused. The terminal says why."),
            Err(_) => page(StatusCode::BAD_REQUEST, "The login was given up. The terminal says why."),
        })
    }
}

/// A page of text alone: nothing of the request is repeated in it, and no code stays in a referrer.
fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let fields = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response
}
