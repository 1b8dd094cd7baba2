//! An API that serves everything, and remembers the fields that it got last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct PlayedUpstream {
    pub(crate) address: SocketAddr,
    fields: Fields,
}

type Fields = Arc<Mutex<HeaderMap>>;

impl PlayedUpstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fields = Fields::default();
        let shared = Arc::clone(&fields);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, fields }
    }

    /// The fields of the last request since this was asked before.
    pub(crate) fn take_fields(&self) -> HeaderMap {
        std::mem::take(&mut self.fields.lock().unwrap())
    }
}

async fn serve(stream: TcpStream, fields: Fields) {
    let service = service_fn(move |request: Request<Incoming>| {
        fields.lock().unwrap().clone_from(request.headers());
        let failing = request.uri().path() == "/fail";
        async move {
            let mut answer = Response::new(Full::new(Bytes::from_static(b"served")));
            if failing {
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            Ok::<_, Infallible>(answer)
        }
    });
    // The gateway closes when it is done.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
