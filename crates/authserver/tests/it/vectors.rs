//! The rows of bad input that the token endpoint judges by itself, from `vectors/authserver.jsonl`, under the strictest
//! profile. After every refusal the same `jti`s are good in a right request.

use countersign_dpop::jose::{Algorithm, SoftwareKey};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::support::{Assertion, NOW, Proof, TokenRequest, World};

/// One row. What is not said is right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(rename = "row")]
    number: u16,
    #[serde(default)]
    part: String,
    title: String,
    applies: Vec<String>,
    #[serde(default = "right")]
    proof: Change,
    #[serde(default = "right")]
    assertion: Change,
    #[serde(default)]
    parameters: Vec<(String, String)>,
    #[serde(default)]
    method: Option<String>,
    expect: Expected,
}

/// What is changed of a proof or an assertion: nothing, everything (it is absent, or another thing), or members.
#[derive(Deserialize)]
#[serde(untagged)]
enum Change {
    Absent(()),
    Other(String),
    Members {
        #[serde(default)]
        claims: Map<String, Value>,
        #[serde(default)]
        header: Map<String, Value>,
        #[serde(default)]
        without: Vec<String>,
    },
}

fn right() -> Change {
    Change::Members { claims: Map::new(), header: Map::new(), without: Vec::new() }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Refused(u16, Option<String>),
    Granted(String),
}

/// A date is written as `{"now": seconds}`.
fn value(value: &Value) -> Value {
    value.get("now").and_then(Value::as_i64).map_or_else(|| value.clone(), |offset| Value::from(NOW + offset))
}

async fn fapi2() -> World {
    let config = |config: String| {
        let config = config[..config.find("[[client]]\nclient_id = \"basic\"").unwrap()].to_owned();
        format!("profile = \"fapi2\"\n{config}")
    };
    World::with(config).await
}

impl Row {
    fn proof<'a>(&self, world: &'a World) -> Proof<'a> {
        let mut proof = world.proof().claim("jti", format!("proof of row {} {}", self.number, self.part));
        if let Change::Members { claims, header, .. } = &self.proof {
            proof = claims.iter().fold(proof, |proof, (name, to)| proof.claim(name, value(to)));
            proof = header.iter().fold(proof, |proof, (name, to)| proof.member(name, value(to)));
        }
        proof
    }

    fn assertion(&self, world: &World) -> Assertion {
        let mut assertion =
            world.assertion("bound").claim("jti", format!("assertion of row {} {}", self.number, self.part));
        if let Change::Members { claims, header, without } = &self.assertion {
            assertion = claims.iter().fold(assertion, |assertion, (name, to)| assertion.claim(name, value(to)));
            assertion = header.iter().fold(assertion, |assertion, (name, to)| assertion.member(name, value(to)));
            assertion = without.iter().fold(assertion, |assertion, name| assertion.without(name));
        }
        assertion
    }

    fn request(&self, world: &World) -> TokenRequest {
        let (proof, assertion) = (self.proof(world).text(), self.assertion(world).text());
        let mut request = TokenRequest::plain();
        request = match &self.assertion {
            Change::Absent(()) => request,
            Change::Other(word) => {
                assert_eq!(word, "the proof");
                request.assertion(&proof)
            }
            Change::Members { .. } => request.assertion(&assertion),
        };
        request = match &self.proof {
            Change::Absent(()) => request,
            Change::Other(word) => {
                assert_eq!(word, "the assertion");
                request.proof(&assertion)
            }
            Change::Members { .. } => request.proof(&proof),
        };
        self.parameters.iter().fold(request, |request, (name, value)| request.add(name, value))
    }
}

#[tokio::test]
async fn every_row_is_judged_as_it_says_and_a_refusal_spends_nothing() {
    let text = include_str!("../../../../vectors/authserver.jsonl");
    let rows: Vec<Row> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(rows.len() >= 26 && rows.iter().all(|row| row.applies == ["authserver"]));
    for row in &rows {
        let (world, name) = (fapi2().await, format!("row {} {}: {}", row.number, row.part, row.title));
        let mut request = row.request(&world).to_http();
        if let Some(method) = &row.method {
            *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        }
        let answer = world.send_raw(request).await;
        let found = (answer.status.as_u16(), answer.json["error"].as_str().map(str::to_owned));
        match &row.expect {
            Expected::Granted(word) => {
                assert_eq!((word.as_str(), found), ("granted", (200, None)), "{name}");
                answer.granted("DPoP");
                continue;
            }
            Expected::Refused(status, error) => assert_eq!(found, (*status, error.clone()), "{name}"),
        }
        let right = Row { proof: right(), assertion: right(), parameters: Vec::new(), method: None, ..clone(row) };
        let answer = world.send(&right.request(&world)).await;
        assert!(answer.is_granted(), "{name}: the same jtis in a right request: {}", answer.text);
        let again = world.send(&right.request(&world)).await;
        assert!(!again.is_granted(), "{name}: and once only");
    }
}

fn clone(row: &Row) -> Row {
    Row {
        number: row.number,
        part: row.part.clone(),
        title: row.title.clone(),
        applies: row.applies.clone(),
        proof: right(),
        assertion: right(),
        parameters: Vec::new(),
        method: None,
        expect: Expected::Granted("granted".to_owned()),
    }
}

/// The modules of the OpenID suite's plan for client credentials that ask something of the token endpoint, by name;
/// discovery and the negative tests of the resource server are judged elsewhere.
#[tokio::test]
async fn what_the_suite_asks_of_client_credentials() {
    let world = fapi2().await;
    // happy-flow: two clients, each with its own key, and the tokens are bound to those.
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let first = world.send(&world.bound_request()).await;
    let second = TokenRequest::plain().assertion(&world.assertion("bound").text());
    let second = world.send(&second.proof(&Proof::new(&other, world.now()).text())).await;
    assert_ne!(first.granted("DPoP").claims()["cnf"], second.granted("DPoP").claims()["cnf"]);
    // ensure-client-id-in-token-endpoint: the right one is fine, another one is not.
    world.send(&world.bound_request().set("client_id", "jwt")).await.granted("DPoP");
    world.send(&world.bound_request().set("client_id", "bound")).await.refused(401, "invalid_client");
    // ensure-holder-of-key-required.
    world.send(&world.request()).await.refused(400, "invalid_dpop_proof");
    // ensure-client-assertion-in-token-endpoint.
    let without = TokenRequest::plain().proof(&world.proof().text());
    world.send(&without).await.refused(401, "invalid_client");
    // No refresh token, no-store, and a nonce is one field of legal characters: what `granted` and `nonce` assert.
    let world = World::with(|config| {
        let config = config[..config.find("[[client]]\nclient_id = \"basic\"").unwrap()].to_owned();
        format!("nonce = \"required\"\nprofile = \"fapi2\"\n{config}")
    })
    .await;
    let assertion = world.assertion("jwt").text();
    let asked = world.send(&TokenRequest::plain().assertion(&assertion).proof(&world.proof().text())).await;
    let nonce = asked.refused(400, "use_dpop_nonce").nonce().unwrap();
    let answered = world.proof().claim("nonce", nonce).text();
    world.send(&TokenRequest::plain().assertion(&assertion).proof(&answered)).await.granted("DPoP");
}
