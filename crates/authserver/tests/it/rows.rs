//! The rows of `vectors/authserver-flow.jsonl`: what is changed in an otherwise right request, the one verdict that is right,
//! and that the right request with the same code, refresh token, assertion and proof is then still taken.

use countersign_dpop::jose::{Algorithm, SoftwareKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::support::flow::PAR_URL;
use crate::support::{Answer, Proof, TokenRequest, World, at};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(rename = "row")]
    number: u32,
    part: Option<String>,
    title: String,
    /// Who judges it; here always the authorization server.
    applies: Vec<String>,
    /// The right request that is changed: `push`, `code` or `refresh`.
    start: String,
    /// Parameters of the pushed request before a code.
    #[serde(default)]
    push: Map<String, Value>,
    /// Whether the request before a code was pushed with a proof.
    #[serde(default)]
    push_proof: bool,
    /// The client that sends the request.
    client: Option<String>,
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    add: Map<String, Value>,
    #[serde(default)]
    assertion: Map<String, Value>,
    assertion_text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    proof: Option<Value>,
    proof_key: Option<String>,
    proof_text: Option<String>,
    /// Whether the code has been redeemed before.
    #[serde(default)]
    used: bool,
    #[serde(default)]
    wait: i64,
    expect: Expected,
    /// The status of the right request afterwards.
    then: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    error: Option<String>,
    token_type: Option<String>,
}

/// So that `null`, no proof at all, is not the same as absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[tokio::test]
async fn every_row_gets_its_verdict_and_spends_nothing() {
    let rows = include_str!("../../../../vectors/authserver-flow.jsonl");
    let world = World::for_people("fapi2").await;
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let mut count = 0;
    for line in rows.lines() {
        let row: Row = serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        let name = format!("row {} {}: {}", row.number, row.part.as_deref().unwrap_or_default(), row.title);
        assert_eq!(row.applies, ["authserver"], "{name}");
        let it = Played { world: &world, other: &other, row: &row };
        let base = it.base().await;
        world.clock.set(at(world.now() + row.wait));
        let assertion = world.assertion("app").text();
        let proof = Proof::new(&world.key, world.now()).claim("htu", it.htu()).text();
        let right = base.clone().assertion(&assertion).proof(&proof);
        let answer = world.send(&it.change(&base, &assertion, &proof)).await;
        row.expect.assert(&answer, &name);
        if let Some(status) = row.then {
            let then = world.send(&right).await;
            assert_eq!(then.status, status, "{name}: the right request after it: {}", then.text);
        }
        count += 1;
    }
    assert_eq!(count, 28, "every row was played");
}

impl Expected {
    #[track_caller]
    fn assert(&self, answer: &Answer, name: &str) {
        assert_eq!(answer.status, self.status, "{name}: {}", answer.text);
        assert_eq!(answer.json["error"].as_str(), self.error.as_deref(), "{name}");
        assert!(
            self.token_type.is_none() || answer.json["token_type"].as_str() == self.token_type.as_deref(),
            "{name}"
        );
    }
}

struct Played<'a> {
    world: &'a World,
    other: &'a SoftwareKey,
    row: &'a Row,
}

impl Played<'_> {
    const fn htu(&self) -> &'static str {
        if self.row.start.as_bytes()[0] == b'p' { PAR_URL } else { "https://as.example/token" }
    }

    /// The right request, without assertion and proof.
    async fn base(&self) -> TokenRequest {
        let world = self.world;
        if self.row.start == "push" {
            return world.push("app");
        }
        let mut push = world.push("app");
        for (name, value) in &self.row.push {
            push = push.set(name, &self.text(value));
        }
        if self.row.push_proof {
            push = push.proof(&world.par_proof().text());
        }
        let code = world.code(&push, "app").await;
        let request = world.code_request("app", &code);
        if self.row.used || self.row.start == "refresh" {
            let granted = world.send(&request.clone().proof(&world.proof().text())).await;
            if self.row.start == "refresh" {
                return world.refresh_request("app", &granted.refresh_token());
            }
        }
        request
    }

    fn change(&self, base: &TokenRequest, assertion: &str, proof: &str) -> TokenRequest {
        let (row, world) = (self.row, self.world);
        let mut request = base.clone();
        let client = row.client.as_deref().unwrap_or("app");
        let mut changed = world.assertion(client);
        for (name, value) in &row.assertion {
            changed = changed.claim(name, self.value(value));
        }
        request = match row.assertion_text.as_deref() {
            Some(_) => request.assertion(proof),
            None if row.assertion.is_empty() && row.client.is_none() => request.assertion(assertion),
            None => request.assertion(&changed.text()),
        };
        for (name, value) in &row.set {
            request = request.set(name, &self.text(value));
        }
        for (name, value) in &row.add {
            request = request.add(name, &self.text(value));
        }
        match (&row.proof, &row.proof_key, &row.proof_text) {
            (Some(Value::Null), ..) => request,
            (Some(claims), ..) => {
                let mut wrong = Proof::new(&world.key, world.now()).claim("htu", self.htu());
                for (name, value) in claims.as_object().unwrap() {
                    wrong = wrong.claim(name, self.value(value));
                }
                request.proof(&wrong.text())
            }
            (None, Some(_), _) => request.proof(&Proof::new(self.other, world.now()).claim("htu", self.htu()).text()),
            (None, None, Some(_)) => request.proof(assertion),
            (None, None, None) => request.proof(proof),
        }
    }

    /// `own` and `other` are thumbprints, where a parameter takes one.
    fn text(&self, value: &Value) -> String {
        match value.as_str().unwrap() {
            "own" => self.world.key.public_jwk().jkt().to_string(),
            "other" => self.other.public_jwk().jkt().to_string(),
            text => text.to_owned(),
        }
    }

    /// `${now-300}` is a date.
    fn value(&self, value: &Value) -> Value {
        let offset = value.as_str().and_then(|text| text.strip_prefix("${now")).and_then(|text| text.strip_suffix('}'));
        offset.map_or_else(|| value.clone(), |offset| (self.world.now() + offset.parse::<i64>().unwrap()).into())
    }
}
