//! Judging a request that another proxy asks about: it, not the gateway, forwards what may pass.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use countersign_resource::{Outcome, Refusal, RequestFacts, Stage, Verdict};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response};
use ipnet::IpNet;

use crate::answer::Trouble;
use crate::body::Content;
use crate::door::{About, Story};
use crate::visit::Visit;

/// The request that is asked about.
#[derive(Debug)]
pub(crate) struct Asked<'h> {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    /// `None` where the proxy has seen to it.
    pub(crate) authority: Option<&'h str>,
    pub(crate) headers: &'h HeaderMap,
}

/// What the gateway has to say of it.
#[derive(Debug)]
pub(crate) struct Advice {
    pub(crate) verdict: Verdict,
    /// What the upstream is to learn of the caller.
    pub(crate) identity: HeaderMap,
    pub(crate) story: Story,
}

impl Visit<'_> {
    /// Only a proxy that is trusted may ask.
    pub(crate) fn may_ask(&self, trusted: &[IpNet]) -> Result<(), Trouble> {
        let peer: IpAddr = self.peer.address.ip().to_canonical();
        let is_trusted = trusted.iter().any(|network| network.contains(&peer));
        is_trusted.then_some(()).ok_or(Trouble::UntrustedProxy)
    }

    /// Judges the request. `None` for a preflight: the API answers it, and a page learns nothing from that.
    pub(crate) async fn consult(&self, asked: &Asked<'_>) -> Result<Option<Advice>, Trouble> {
        if asked.headers.len() > self.site.max_fields {
            return Err(Trouble::TooManyFields);
        }
        if asked.method == Method::CONNECT {
            return Err(Trouble::Connect);
        }
        if self.site.cors.as_ref().is_some_and(|cors| cors.preflight(&asked.method, asked.headers).is_some()) {
            return Ok(None);
        }
        let now = self.door.clock.now();
        let choice = self.site.choose(&asked.method, asked.target.path(), now).map_err(|_| Trouble::AmbiguousPath)?;
        let facts = RequestFacts {
            method: asked.method.as_str(),
            path_and_query: asked.target.as_str(),
            headers: asked.headers,
            authority: asked.authority,
        };
        let mut verdict = choice.server.judge_for(&facts, choice.route).await;
        verdict.decision.request = Some(Arc::clone(&self.id));
        self.door.decisions.record(&verdict.decision);
        self.door.metrics.decision(&verdict.decision, choice.label, verdict.nonce().is_some());
        let observes = verdict.decision.stage == Stage::Observe;
        let identity = match &verdict.outcome {
            Outcome::Granted(access) if !observes => {
                let fields = self.identity(access, choice.forwarder.upstream(), now)?;
                fields.into_iter().collect()
            }
            Outcome::Granted(_) | Outcome::Observed(_) | Outcome::Refused(_) => HeaderMap::new(),
        };
        let story = Story {
            route: Some(Arc::clone(choice.label)),
            client: verdict.decision.client.clone(),
            observes,
            about: Some(asked.about()),
            ..Story::of(verdict.decision.code)
        };
        Ok(Some(Advice { verdict, identity, story }))
    }

    /// The refusal as the client is to see it.
    pub(crate) fn refusal(&self, asked: &Asked<'_>, verdict: &Verdict, refusal: &Refusal) -> Response<Bytes> {
        let mut response = refusal.to_response();
        self.name(response.headers_mut());
        verdict.add_fields_to(response.headers_mut());
        if let Some(cors) = &self.site.cors {
            cors.open(cors.allowed_origin(asked.headers), response.headers_mut());
        }
        response
    }
}

impl Asked<'_> {
    /// For the logs.
    pub(crate) fn about(&self) -> About {
        About { method: self.method.clone(), path: self.target.path().to_owned(), peer: None }
    }
}

/// A target in origin form; no other one is asked about. A fragment is none of it, and what one proxy takes for a path
/// another may cut off there.
pub(crate) fn origin_form(target: &str) -> Option<PathAndQuery> {
    let is_plain = target.starts_with('/') && !target.contains('#');
    is_plain.then(|| PathAndQuery::from_str(target).ok()).flatten()
}

/// The request may pass: 200 with an empty body.
pub(crate) fn pass() -> Response<Content> {
    Response::new(Content::Own(Bytes::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_as_it_was_sent() {
        for target in ["/", "/a%2Fb?c=/", "//a", "/a;b=%20", "/?"] {
            assert_eq!(origin_form(target).unwrap().as_str(), target);
        }
        for target in ["", "*", "a", "http://evil.example/", "/a b", "/a#b", "/a\u{0}", "/a\r\nb", "/a\t"] {
            assert_eq!(origin_form(target), None, "{target:?}");
        }
    }
}
