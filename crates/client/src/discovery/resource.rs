//! Metadata of a protected resource (RFC 9728), found from nothing but a URL of it.

use countersign_dpop::jose::{JsonError, JsonLimits, from_strict_json};
use countersign_dpop::{Challenge, Scheme};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;

use crate::discovery::DiscoveryError;
use crate::discovery::issuer::read;
use crate::http::{Endpoint, Http, RequestBody};
use crate::shown::shown;

/// What a resource says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResourceMetadata {
    /// Where it was read.
    pub url: String,
    /// The identifier of the resource, to ask for tokens with (RFC 8707).
    pub resource: String,
    /// Who issues tokens for it.
    pub authorization_servers: Vec<String>,
    /// Scopes that it knows.
    pub scopes_supported: Vec<String>,
    /// The scope that its challenge asked for.
    pub scope_asked: Option<String>,
    /// True when it takes DPoP-bound tokens only.
    pub dpop_bound_access_tokens_required: bool,
    /// Algorithms that it takes for proofs; empty when it does not say.
    pub dpop_algorithms: Vec<String>,
}

impl ResourceMetadata {
    /// The issuer to go to: `wanted`, which has to be one of the resource's, or the first of those.
    ///
    /// # Errors
    /// [`DiscoveryError::IssuerNotAnnounced`], [`DiscoveryError::NoIssuer`].
    pub fn issuer(&self, wanted: Option<&str>) -> Result<&str, DiscoveryError> {
        let mut announced = self.authorization_servers.iter();
        match wanted {
            None => {
                announced.next().map(String::as_str).ok_or_else(|| DiscoveryError::NoIssuer { url: self.url.clone() })
            }
            Some(wanted) => announced.find(|issuer| *issuer == wanted).map(String::as_str).ok_or_else(|| {
                let announced = shown(&self.authorization_servers.join(", "));
                DiscoveryError::IssuerNotAnnounced { issuer: shown(wanted), announced }
            }),
        }
    }
}

/// Finds the metadata of the resource that `url` belongs to: by the challenge that a request without credentials gets
/// (RFC 9728 §5), else at the well-known places of the path and of the origin (§3).
pub(crate) async fn discover_resource(http: &Http, url: &Endpoint) -> Result<ResourceMetadata, DiscoveryError> {
    let challenged = ask(http, url).await?;
    let mut tried = Vec::new();
    for place in places(url, challenged.metadata.as_deref())? {
        let named = place.to_string();
        let answer =
            read(http, &place).await.map_err(|fault| DiscoveryError::Transport { url: named.clone(), fault })?;
        match answer.status {
            StatusCode::OK => match parse(url, named.clone(), &answer.body) {
                // Many an application has the same page for every address.
                Err(DiscoveryError::Json { fault: JsonError::Syntax { .. }, .. }) => tried.push(named),
                parsed => return parsed.map(|metadata| ResourceMetadata { scope_asked: challenged.scope, ..metadata }),
            },
            status if status.is_client_error() => tried.push(named),
            status => return Err(DiscoveryError::Status { url: named, status: status.as_u16() }),
        }
    }
    Err(DiscoveryError::NoResourceMetadata { url: url.to_string(), tried })
}

#[derive(Default)]
struct Challenged {
    metadata: Option<String>,
    scope: Option<String>,
}

/// Asks without credentials. The body is not looked at.
async fn ask(http: &Http, url: &Endpoint) -> Result<Challenged, DiscoveryError> {
    let mut request = http::Request::new(RequestBody::empty());
    *request.method_mut() = Method::GET;
    let answer = http.exchange_in_time(url, request).await;
    let answer = answer.map_err(|fault| DiscoveryError::Transport { url: url.to_string(), fault })?;
    Ok(read_challenge(answer.headers()))
}

/// What the challenges say, that of `DPoP` before that of `Bearer`.
fn read_challenge(headers: &HeaderMap) -> Challenged {
    let fields = headers.get_all(header::WWW_AUTHENTICATE).iter().take(8).filter_map(|field| field.to_str().ok());
    let mut challenges: Vec<_> = fields.flat_map(|field| Challenge::parse_field(field).unwrap_or_default()).collect();
    challenges.sort_by_key(|challenge| challenge.scheme != Scheme::Dpop);
    let scope = challenges.iter().find_map(|challenge| challenge.scope.clone());
    Challenged { metadata: challenges.into_iter().find_map(|challenge| challenge.resource_metadata), scope }
}

/// Where to look. What a challenge points to is believed at the resource's own origin only.
fn places(url: &Endpoint, pointed_to: Option<&str>) -> Result<Vec<Endpoint>, DiscoveryError> {
    let member = "resource_metadata";
    let parse = |text: &str| Endpoint::parse(text).map_err(|fault| DiscoveryError::Endpoint { member, fault });
    if let Some(pointed_to) = pointed_to {
        let place = parse(pointed_to)?;
        if place.origin() != url.origin() {
            return Err(DiscoveryError::ResourceMetadataElsewhere { origin: shown(place.origin()) });
        }
        return Ok(vec![place]);
    }
    let well_known = format!("{}/.well-known/oauth-protected-resource", url.origin());
    let path = url.path().trim_end_matches('/');
    let mut places = vec![parse(&format!("{well_known}{path}"))?];
    if !path.is_empty() {
        places.push(parse(&well_known)?);
    }
    Ok(places)
}

#[derive(Deserialize)]
struct Document {
    resource: String,
    authorization_servers: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    dpop_bound_access_tokens_required: bool,
    dpop_signing_alg_values_supported: Option<Vec<String>>,
}

/// The most issuers, scopes and algorithms that are kept of a document.
const MAX_LISTED: usize = 64;

fn parse(asked: &Endpoint, url: String, json: &[u8]) -> Result<ResourceMetadata, DiscoveryError> {
    let document: Document = from_strict_json(json, JsonLimits::DOCUMENT)
        .map_err(|fault| DiscoveryError::Json { url: url.clone(), fault })?;
    let resource = Endpoint::parse(&document.resource).ok().filter(|resource| resource.contains(asked));
    if resource.is_none() || document.resource.contains('#') {
        let found = shown(&document.resource);
        return Err(DiscoveryError::ResourceMismatch { url, asked: asked.to_string(), found });
    }
    let some = |list: Option<Vec<String>>| list.into_iter().flatten().take(MAX_LISTED).collect::<Vec<_>>();
    let printable = |list| some(list).iter().map(|text| shown(text)).collect();
    Ok(ResourceMetadata {
        url,
        resource: document.resource,
        authorization_servers: some(document.authorization_servers),
        scopes_supported: printable(document.scopes_supported),
        scope_asked: None,
        dpop_bound_access_tokens_required: document.dpop_bound_access_tokens_required,
        dpop_algorithms: printable(document.dpop_signing_alg_values_supported),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Endpoint {
        Endpoint::parse(text).expect("a URL")
    }

    fn texts(places: &[Endpoint]) -> Vec<String> {
        places.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn looks_at_the_path_and_then_at_the_origin() {
        let found = places(&url("https://api.example/a/b/"), None).expect("places");
        let known = "https://api.example/.well-known/oauth-protected-resource";
        assert_eq!(texts(&found), [format!("{known}/a/b"), known.to_owned()]);
        assert_eq!(texts(&places(&url("https://api.example"), None).expect("one")), [known]);
    }

    #[test]
    fn believes_a_challenge_at_the_resources_own_origin_only() {
        let asked = url("https://api.example/a");
        let own = places(&asked, Some("https://api.example/meta?x=1")).expect("its own");
        assert_eq!(texts(&own), ["https://api.example/meta"]);
        for (pointer, origin) in [
            ("https://evil.example/meta", "https://evil.example"),
            ("https://api.example:8443/meta", "https://api.example:8443"),
            ("http://127.0.0.1:1/meta", "http://127.0.0.1:1"),
        ] {
            let expected = DiscoveryError::ResourceMetadataElsewhere { origin: origin.to_owned() };
            assert_eq!(places(&asked, Some(pointer)), Err(expected), "{pointer}");
        }
        assert!(matches!(places(&asked, Some("http://api.example/m")), Err(DiscoveryError::Endpoint { .. })));
    }

    #[test]
    fn takes_metadata_of_a_resource_that_the_url_belongs_to() {
        let parsed = |asked: &str, resource: &str| {
            let json = format!(r#"{{"resource":"{resource}","authorization_servers":["https://idp.example"]}}"#);
            parse(&url(asked), "https://api.example/m".to_owned(), json.as_bytes())
        };
        for (asked, resource) in [
            ("https://api.example/x", "https://api.example"),
            ("https://api.example/x", "https://api.example/"),
            ("https://api.example/a/x", "https://api.example/a"),
            ("https://api.example/a", "https://api.example/a"),
        ] {
            assert_eq!(parsed(asked, resource).expect("belongs").resource, resource);
        }
        for (asked, resource) in [
            ("https://api.example/x", "https://other.example"),
            ("https://api.example/ab", "https://api.example/a"),
            ("https://api.example/", "https://api.example/a"),
            ("https://api.example/x", "http://api.example"),
            ("https://api.example/x", "https://api.example#f"),
            ("https://api.example/x", "urn:x"),
        ] {
            assert!(
                matches!(parsed(asked, resource), Err(DiscoveryError::ResourceMismatch { .. })),
                "{asked} {resource}"
            );
        }
    }

    #[test]
    fn goes_to_the_issuer_that_is_wanted_if_the_resource_names_it() {
        let json =
            br#"{"resource":"https://api.example","authorization_servers":["https://a.example","https://b.example"]}"#;
        let metadata = parse(&url("https://api.example"), "m".to_owned(), json).expect("metadata");
        assert_eq!(metadata.issuer(None), Ok("https://a.example"));
        assert_eq!(metadata.issuer(Some("https://b.example")), Ok("https://b.example"));
        let refused = metadata.issuer(Some("https://b.example/"));
        assert!(matches!(refused, Err(DiscoveryError::IssuerNotAnnounced { .. })), "{refused:?}");
    }
}
