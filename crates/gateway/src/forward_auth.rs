//! Answering another proxy that asks for each request whether it may pass: nginx `auth_request`, Caddy `forward_auth`,
//! traefik `ForwardAuth`.
//!
//! Method and URI are those of the fields that this proxy sets, each exactly once, and only a proxy that is trusted may
//! ask at all. An answer that lets the request pass has an empty body and names the caller in `Countersign-*`; nginx
//! would close the connection over any other body. Everything else is the refusal as the client is to see it.

use std::str::FromStr;

use countersign_resource::Outcome;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use ipnet::IpNet;

use crate::advice::{Advice, Asked, origin_form, pass};
use crate::answer::Trouble;
use crate::body::Content;
use crate::door::Story;
use crate::visit::Visit;

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
        self.may_ask(trusted)?;
        let asked = Asked::read(&head.headers, proxy).ok_or(Trouble::ForwardedFields)?;
        let Some(Advice { verdict, identity, story }) = self.consult(&asked).await? else {
            return Ok((Story::of("open"), pass()));
        };
        let response = match &verdict.outcome {
            Outcome::Granted(_) | Outcome::Observed(_) => {
                let mut response = pass();
                *response.headers_mut() = identity;
                if !story.observes {
                    self.name(response.headers_mut());
                    verdict.add_fields_to(response.headers_mut());
                }
                response
            }
            Outcome::Refused(refusal) => {
                let mut response = self.refusal(&asked, &verdict, refusal).map(Content::Own);
                *response.status_mut() = proxy.status(response.status());
                response
            }
        };
        Ok((story, response))
    }
}

impl<'h> Asked<'h> {
    /// `None` when a field is absent, there twice, or not what it should be. The host may be absent: then the proxy
    /// has seen to it.
    fn read(headers: &'h HeaderMap, proxy: FrontProxy) -> Option<Self> {
        let [method, uri, host] = proxy.fields();
        let (method, uri) = (only(headers, &method)??, only(headers, &uri)??);
        Some(Self {
            method: Method::from_bytes(method.as_bytes()).ok()?,
            target: origin_form(uri)?,
            authority: only(headers, &host)?,
            headers,
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
        let asked = Asked::read(&headers, proxy)?;
        let authority = asked.authority.map(ToOwned::to_owned);
        Some((asked.method.to_string(), asked.target.to_string(), authority))
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
        for uri in ["", "a", "*", "http://evil.example/", "/a b", "/a#b"] {
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
