//! One connection of a program, and the requests that come over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use countersign_forward::BoxError;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body::Body;
use tokio::time::sleep;

use crate::door::{Door, DoorBody, Entrance};
use crate::journal::{Entry, Event};
use crate::peer::{Peer, plain_method};
use crate::refusal::{Code, Refusal};

/// The longest head of a request, in bytes. The library takes no more than 100 fields.
const MAX_HEAD: usize = 32_768;
/// How often in the time for a head it is looked whether the connection has moved.
const LOOKS: u32 = 4;

/// A connection, or this process's own way in.
pub(crate) struct Visit {
    door: Door,
    way: Way,
    /// How many requests have begun and ended.
    moves: AtomicU64,
    is_busy: AtomicBool,
}

/// How requests reach the door.
pub(crate) enum Way {
    /// Over a socket, from this process.
    Socket(Peer),
    /// Over a port, from nobody knows whom.
    Port(Arc<OpenPort>),
    /// From this process.
    Inside,
}

/// What a request over a port has to name.
pub(crate) struct OpenPort {
    /// The values of `Host` that mean this place.
    pub(crate) authorities: [String; 2],
    /// The path that cannot be guessed.
    pub(crate) base: String,
}

impl Visit {
    pub(crate) const fn new(door: Door, way: Way) -> Self {
        Self { door, way, moves: AtomicU64::new(0), is_busy: AtomicBool::new(false) }
    }

    /// Answers a request.
    pub(crate) async fn answer<B>(self: Arc<Self>, mut head: Parts, body: B) -> Response<DoorBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let stay = Stay::begin(self);
        let (visit, uri) = (stay.visit(), std::mem::take(&mut head.uri));
        let answered = match visit.rest(&head, &uri) {
            Ok(rest) => visit.door.answer(&mut head, body, &visit.entrance(rest)).await,
            Err(refusal) => {
                visit.write_refusal(&head.method, &refusal);
                Err(refusal)
            }
        };
        match answered {
            Ok((response, closings)) => response.map(|body| body.during(stay, closings)),
            Err(refusal) => DoorBody::refusal(&refusal),
        }
    }

    /// The binding that is visited, and what it shares with others.
    pub(crate) const fn door(&self) -> &Door {
        &self.door
    }

    /// True for this process's own way in: no task of a connection hears the bell for what is under way here.
    pub(crate) const fn is_inside(&self) -> bool {
        matches!(self.way, Way::Inside)
    }

    /// Never completes: wakes its task whenever something may have been cut off, for those who look then.
    pub(crate) async fn hear(self: Arc<Self>) {
        loop {
            self.door.shared.lock.bell().notified().await;
        }
    }

    /// Completes when no request has been under way, and no head has come, for `limit`, or up to a quarter longer. It
    /// is looked at from time to time, so that requests need no clock for it.
    pub(crate) async fn silence(self: Arc<Self>, limit: Duration) {
        let (mut seen, mut silent) = (0, 0);
        while silent < LOOKS {
            sleep(limit / LOOKS).await;
            let moves = self.moves.load(Ordering::Relaxed);
            let has_moved = moves != seen || self.is_busy.load(Ordering::Relaxed);
            silent = if has_moved { 0 } else { silent + 1 };
            seen = moves;
        }
    }

    fn entrance<'a>(&'a self, rest: &'a str) -> Entrance<'a> {
        match &self.way {
            Way::Socket(peer) => Entrance { peer: Some(peer), rest, base: "" },
            Way::Port(port) => Entrance { peer: None, rest, base: &port.base },
            Way::Inside => Entrance { peer: None, rest, base: "" },
        }
    }

    /// What follows the local address in the target, if the request may come in at all.
    fn rest<'a>(&self, head: &Parts, uri: &'a Uri) -> Result<&'a str, Refusal> {
        let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let fields = Fields::of(&head.headers);
        fields.require_short(whole)?;
        if head.method == Method::CONNECT {
            let detail = "this is no proxy for other places";
            return Err(Refusal::new(Code::A02, StatusCode::METHOD_NOT_ALLOWED, detail, ""));
        }
        // Some clients name the host in the target of every request. Here it may be this place only.
        if uri.authority().is_some_and(|authority| !self.is_named(authority.as_str())) {
            let detail = "the target names a host: this address stands for one resource only";
            return Err(Refusal::new(Code::A02, StatusCode::MISDIRECTED_REQUEST, detail, "send the path alone"));
        }
        match &self.way {
            Way::Socket(_) | Way::Inside => Ok(whole),
            Way::Port(port) => {
                fields.require_program(&port.authorities)?;
                below(&port.base, whole)
            }
        }
    }

    /// True for the names by which this place is printed.
    fn is_named(&self, authority: &str) -> bool {
        match &self.way {
            Way::Socket(_) => authority == "localhost",
            Way::Port(port) => port.authorities.iter().any(|own| own == authority),
            // The process's own: it names what it likes.
            Way::Inside => true,
        }
    }

    fn write_refusal(&self, method: &Method, refusal: &Refusal) {
        let mut entry = Entry::new(Event::Refused).of(self.door.binding.name.as_str()).saying(refusal.detail.as_str());
        entry.code = Some(refusal.code.as_str().into());
        entry.status = Some(refusal.status.as_u16());
        entry.method = Some(plain_method(method));
        let _ = self.door.shared.journal.write(&entry);
    }
}

/// What has to be known of all fields, by one look at each.
struct Fields<'a> {
    /// Names and values together, in bytes.
    length: usize,
    host: Option<&'a HeaderValue>,
    hosts: usize,
    /// A page in a browser of this machine can send requests here, but not without saying whose page it is.
    is_page: bool,
}

impl<'a> Fields<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self { length: 0, host: None, hosts: 0, is_page: false };
        for (name, value) in headers {
            let name = name.as_str();
            fields.length = fields.length.saturating_add(name.len()).saturating_add(value.len());
            match name {
                "host" => (fields.host, fields.hosts) = (Some(value), fields.hosts.saturating_add(1)),
                "origin" | "sec-fetch-site" => fields.is_page = true,
                _ => {}
            }
        }
        fields
    }

    /// The library's own bound is on what it reads at a time.
    fn require_short(&self, target: &str) -> Result<(), Refusal> {
        if self.length.saturating_add(target.len()) > MAX_HEAD {
            let (status, detail) = (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long");
            return Err(Refusal::new(Code::A02, status, detail, ""));
        }
        Ok(())
    }

    /// Refuses pages, and who was led here under another name.
    fn require_program(&self, authorities: &[String; 2]) -> Result<(), Refusal> {
        let host = self.host.filter(|_| self.hosts == 1).map(HeaderValue::as_bytes);
        if !host.is_some_and(|host| authorities.iter().any(|own| own.as_bytes() == host)) {
            let detail = "the Host field names another place";
            return Err(Refusal::new(Code::A01, StatusCode::MISDIRECTED_REQUEST, detail, "use the address as printed"));
        }
        if self.is_page {
            let detail = "pages in a browser may not use this address";
            return Err(Refusal::new(Code::A01, StatusCode::FORBIDDEN, detail, ""));
        }
        Ok(())
    }
}

/// What follows the path that cannot be guessed; how much of it was right shows in no time.
fn below<'a>(base: &str, whole: &'a str) -> Result<&'a str, Refusal> {
    let (front, rest) = whole.split_at_checked(base.len()).unwrap_or(("", ""));
    let known = verify_slices_are_equal(front.as_bytes(), base.as_bytes()).is_ok();
    if known && (rest.is_empty() || rest.starts_with(['/', '?'])) {
        return Ok(rest);
    }
    let detail = "nothing is here";
    Err(Refusal::new(Code::A01, StatusCode::NOT_FOUND, detail, "use the address that the agent printed"))
}

/// One request under way: the connection is busy until it is dropped.
pub(crate) struct Stay(Arc<Visit>);

impl Stay {
    fn begin(visit: Arc<Visit>) -> Self {
        visit.is_busy.store(true, Ordering::Relaxed);
        visit.moves.fetch_add(1, Ordering::Relaxed);
        Self(visit)
    }

    pub(crate) fn visit(&self) -> &Visit {
        &self.0
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.moves.fetch_add(1, Ordering::Relaxed);
        self.0.is_busy.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_path_opens_a_port() {
        for (whole, rest) in [("/secret", Some("")), ("/secret/x?y", Some("/x?y")), ("/secret?y", Some("?y"))] {
            assert_eq!(below("/secret", whole).ok(), rest, "{whole}");
        }
        for whole in ["", "/", "/secre", "/secrets", "/Secret/x", "/x/secret", "/sécret"] {
            assert_eq!(below("/secret", whole).map_err(|refusal| refusal.code), Err(Code::A01), "{whole}");
        }
    }
}
