//! Requests, many at a time, each of which has to be granted.

use axum::Router;
use bytes::Bytes;
use countersign_authserver::AuthServer;
use futures_util::StreamExt;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;

use crate::commands::bench::measure::Samples;
use crate::error::CommandError;

/// How many requests are in flight at a time.
pub(super) const TOGETHER: usize = 50;

/// One round: sends the requests.
pub(super) async fn grant(
    samples: &mut Samples,
    server: &AuthServer,
    requests: Vec<Request<Full<Bytes>>>,
) -> Result<(), CommandError> {
    let router = server.router();
    let count = requests.len();
    samples.begin();
    let answers = futures_util::stream::iter(requests).map(|request| ask(router.clone(), request));
    let refused: Vec<Refused> = answers.buffer_unordered(TOGETHER).filter_map(async |refused| refused).collect().await;
    samples.end(count);
    match refused.first() {
        None => Ok(()),
        Some(first) => Err(first.explain(refused.len(), count)),
    }
}

/// An answer that grants nothing.
struct Refused {
    status: StatusCode,
    body: String,
}

async fn ask(router: Router, request: Request<Full<Bytes>>) -> Option<Refused> {
    let Ok(answer) = router.oneshot(request).await;
    let status = answer.status();
    // The body is made before it is asked for; taking it costs nothing.
    let body = answer.into_body().collect().await.ok().map(http_body_util::Collected::to_bytes);
    match body {
        Some(_) if status == StatusCode::OK => None,
        body => Some(Refused { status, body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned() }),
    }
}

impl Refused {
    fn explain(&self, refused: usize, count: usize) -> CommandError {
        let Self { status, body } = self;
        let said = format!("{refused} of {count} requests were not granted, the first with {status}: {}", body.trim());
        let error = CommandError::internal(format!("{said}; the figures mean nothing"));
        match *status {
            StatusCode::SERVICE_UNAVAILABLE => error.with_hint(
                "the database took more than 5 s for a write; measure when the disk is less busy, or with fewer grants",
            ),
            _ => error,
        }
    }
}
