//! Answering another proxy that asks for each request whether it may pass: nginx `auth_request`, Caddy `forward_auth`,
//! traefik `ForwardAuth`.
//!
//! Method and URI are those of the fields that this proxy sets, each exactly once, and only a proxy that is trusted may
//! ask at all. An answer that lets the request pass has an empty body and names the caller in `Countersign-*`; nginx
//! would close the connection over any other body. Everything else is the refusal as the client is to see it.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use countersign_resource::{Decision, Outcome, RequestFacts, Stage, Verdict};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, Uri};
use ipnet::IpNet;

use crate::answer::Trouble;
use crate::body::Content;
use crate::door::{Story, Visit};

/// What a gateway does with a request that may pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Forwards it to the upstream.
    #[default]
    Proxy,
    /// Says so to the proxy that asked.
    ForwardAuth {
        /// The kind of proxy.
        proxy: FrontProxy,
        /// Who may ask.
        trusted: Vec<IpNet>,
    },
}

/// A proxy that can ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrontProxy {
    /// nginx with `auth_request`. It knows only 401 and 403: other refusals for which the client is to blame go as 403.
    Nginx,
    /// Caddy with `forward_auth`.
    Caddy,
    /// traefik with `ForwardAuth`.
    Traefik,
}

impl FrontProxy {
    /// The fields for method, URI and host.
    const fn fields(self) -> [HeaderName; 3] {
        match self {
            Self::Nginx => [
                HeaderName::from_static("x-original-method"),
                HeaderName::from_static("x-original-uri"),
                HeaderName::from_static("x-original-host"),
            ],
            Self::Caddy | Self::Traefik => [
                HeaderName::from_static("x-forwarded-method"),
                HeaderName::from_static("x-forwarded-uri"),
                HeaderName::from_static("x-forwarded-host"),
            ],
        }
    }

    /// The status as this proxy takes it.
    fn status(self, status: StatusCode) -> StatusCode {
        match self {
            Self::Nginx if status.is_client_error() && status != StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            Self::Nginx | Self::Caddy | Self::Traefik => status,
        }
    }
}

impl FromStr for FrontProxy {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "nginx" => Ok(Self::Nginx),
            "caddy" => Ok(Self::Caddy),
            "traefik" => Ok(Self::Traefik),
            _ => Err(()),
        }
    }
}

/// The request that is asked about.
#[derive(Debug)]
struct Original<'h> {
    method: Method,
    target: Uri,
    authority: Option<&'h str>,
}

impl Visit<'_> {
    /// Answers the proxy that asks.
    pub(crate) async fn advise(
        &self,
        head: &Parts,
        proxy: FrontProxy,
        trusted: &[IpNet],
    ) -> (Story, Response<Content>) {
        match self.try_advise(head, proxy, trusted).await {
            Ok(advised) => advised,
            Err(trouble) => {
                let mut response = self.own_answer(&trouble, false);
                *response.status_mut() = proxy.status(response.status());
                (Story::of(trouble.code()), response)
            }
        }
    }

    async fn try_advise(
        &self,
        head: &Parts,
        proxy: FrontProxy,
        trusted: &[IpNet],
    ) -> Result<(Story, Response<Content>), Trouble> {
        let peer = self.peer.ip().to_canonical();
        if !trusted.iter().any(|network| network.contains(&peer)) {
            return Err(Trouble::UntrustedProxy);
        }
        if head.headers.len() > self.site.max_fields {
            return Err(Trouble::TooManyFields);
        }
        let original = Original::read(&head.headers, proxy).ok_or(Trouble::ForwardedFields)?;
        let preflight = self.site.cors.as_ref().and_then(|cors| cors.preflight(&original.method, &head.headers));
        if preflight.is_some() {
            // The API answers it; a page learns nothing from that.
            return Ok((Story::of("open"), pass()));
        }
        let now = self.door.clock.now();
        let path = original.target.path();
        let choice = self.site.choose(&original.method, path, now).map_err(|_| Trouble::AmbiguousPath)?;
        let facts = RequestFacts {
            method: original.method.as_str(),
            path_and_query: original.target.path_and_query().map_or("", PathAndQuery::as_str),
            headers: &head.headers,
            authority: original.authority,
        };
        let mut verdict = choice.server.judge_for(&facts, choice.route).await;
        verdict.decision.request = Some(Arc::clone(&self.id));
        self.door.decisions.record(&verdict.decision);
        self.door.metrics.decision(&verdict.decision, choice.label, verdict.nonce().is_some());
        let observes = verdict.decision.stage == Stage::Observe;
        let identity = match &verdict.outcome {
            Outcome::Granted(access) if !observes => self.door.identity(access, choice.forwarder.upstream(), now)?,
            Outcome::Granted(_) | Outcome::Observed(_) | Outcome::Refused(_) => HeaderMap::new(),
        };
        let response = self.render(&head.headers, &verdict, identity, proxy);
        let Decision { code, client, .. } = verdict.decision;
        Ok((Story { code, route: Some(Arc::clone(choice.label)), client, observes }, response))
    }

    fn render(
        &self,
        headers: &HeaderMap,
        verdict: &Verdict,
        identity: HeaderMap,
        proxy: FrontProxy,
    ) -> Response<Content> {
        let mut response = match &verdict.outcome {
            Outcome::Granted(_) | Outcome::Observed(_) => {
                let mut response = pass();
                *response.headers_mut() = identity;
                response
            }
            Outcome::Refused(refusal) => {
                let mut response = refusal.to_response().map(Content::Own);
                self.name(response.headers_mut());
                *response.status_mut() = proxy.status(response.status());
                response
            }
        };
        if verdict.decision.stage != Stage::Observe {
            verdict.add_fields_to(response.headers_mut());
            if let (Some(cors), false) = (&self.site.cors, response.status().is_success()) {
                cors.open(cors.allowed_origin(headers), response.headers_mut());
            }
        }
        response
    }
}

impl<'h> Original<'h> {
    /// `None` when a field is absent, there twice, or not what it should be. The host may be absent: then the proxy
    /// has seen to it.
    fn read(headers: &'h HeaderMap, proxy: FrontProxy) -> Option<Self> {
        let [method, uri, host] = proxy.fields();
        let (method, uri) = (only(headers, &method)??, only(headers, &uri)??);
        if !uri.starts_with('/') {
            return None;
        }
        Some(Self {
            method: Method::from_bytes(method.as_bytes()).ok()?,
            target: uri.parse().ok()?,
            authority: only(headers, &host)?,
        })
    }
}

/// The one field of that name; `None` when there are two, or it is no text.
#[expect(clippy::option_option, reason = "absent and unusable are two things")]
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Option<&'h str>> {
    let mut fields = headers.get_all(name).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Some(None),
        (Some(field), None) => field.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

/// The request may pass: 200 with an empty body.
fn pass() -> Response<Content> {
    Response::new(Content::Own(Bytes::new()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(fields: &[(&'static str, &'static str)], proxy: FrontProxy) -> Option<(String, String, Option<String>)> {
        let fields =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        let original = Original::read(&headers, proxy)?;
        let authority = original.authority.map(ToOwned::to_owned);
        Some((original.method.to_string(), original.target.to_string(), authority))
    }

    #[test]
    fn reads_what_the_proxy_sets() {
        let found = Some(("PUT".to_owned(), "/a%2Fb?c=/".to_owned(), None));
        let nginx = [("x-original-method", "PUT"), ("x-original-uri", "/a%2Fb?c=/")];
        assert_eq!(read(&nginx, FrontProxy::Nginx), found);
        let caddy = [("x-forwarded-method", "PUT"), ("x-forwarded-uri", "/a%2Fb?c=/")];
        assert_eq!(read(&caddy, FrontProxy::Caddy), found);
        assert_eq!(read(&caddy, FrontProxy::Traefik), found);
        assert_eq!(read(&caddy, FrontProxy::Nginx), None, "another proxy's fields say nothing");
    }

    #[test]
    fn refuses_what_is_unclear() {
        let method = ("x-original-method", "GET");
        for uri in ["", "a", "*", "http://evil.example/", "/a b"] {
            assert_eq!(read(&[method, ("x-original-uri", uri)], FrontProxy::Nginx), None, "{uri}");
        }
        let uri = ("x-original-uri", "/");
        for fields in [
            &[method][..],
            &[uri],
            &[method, uri, uri],
            &[method, method, uri],
            &[("x-original-method", "GE T"), uri],
            &[("x-original-method", ""), uri],
            &[method, uri, ("x-original-host", "a"), ("x-original-host", "b")],
        ] {
            assert_eq!(read(fields, FrontProxy::Nginx), None, "{fields:?}");
        }
    }

    #[test]
    fn nginx_knows_401_and_403_only() {
        for (status, expected) in [(400, 403), (401, 401), (403, 403), (421, 403), (431, 403), (503, 503)] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(FrontProxy::Nginx.status(status).as_u16(), expected);
            assert_eq!(FrontProxy::Caddy.status(status), status);
        }
    }
}
