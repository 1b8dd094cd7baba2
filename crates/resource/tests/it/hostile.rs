//! Whatever bytes come: no panic, no grant, one readable line in the log.

use countersign_resource::{Outcome, RequestFacts, ResourceServer, Stage, Verdict};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;

use crate::world::World;

fn judge(server: &ResourceServer, target: &str, fields: &[(HeaderName, Vec<u8>)]) -> Verdict {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let facts = RequestFacts { method: "GET", path_and_query: target, headers: &headers, authority: None };
    // All keys are at hand, so nothing is waited for.
    server.judge(&facts).now_or_never().unwrap()
}

fn sound(verdict: &Verdict, stage: Stage) -> Result<(), TestCaseError> {
    let line = verdict.decision.to_json();
    prop_assert!(serde_json::from_str::<Value>(&line).is_ok() && !line.contains('\n'));
    match &verdict.outcome {
        Outcome::Granted(_) => prop_assert!(false, "granted"),
        Outcome::Observed(_) => prop_assert_eq!(stage, Stage::Observe),
        Outcome::Refused(refusal) => {
            let response = refusal.to_response();
            prop_assert!(response.status().is_client_error());
            let body = serde_json::from_slice::<Value>(response.body());
            prop_assert!(body.is_ok());
        }
    }
    Ok(())
}

fn field() -> impl Strategy<Value = (HeaderName, Vec<u8>)> {
    let name = prop_oneof![Just(http::header::AUTHORIZATION), Just(countersign_dpop::headers::DPOP)];
    let text = prop_oneof![
        "(?i)(DPoP|Bearer|Basic|)[ \t,]{0,3}[a-zA-Z0-9._~+/=-]{0,40}".prop_map(String::into_bytes),
        "(DPoP |Bearer |)[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..80),
    ];
    (name, text)
}

proptest! {
    #[test]
    fn no_bytes_in_the_fields_are_granted(
        fields in proptest::collection::vec(field(), 0..4),
        target in "(/[ -~]{0,40}|[ -~]{0,10}|/[a-z%0-9?&=_]{0,30})",
        stage in proptest::sample::select(&Stage::ALL[..]),
    ) {
        let world = World::new();
        let server = world.server(world.config().with_stage(stage));
        sound(&judge(&server, &target, &fields), stage)?;
    }

    #[test]
    fn no_changed_byte_of_token_or_proof_is_granted(
        in_token in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        byte in proptest::sample::select(b"ABab01-_.=+/ ,\xff".to_vec()),
    ) {
        let world = World::new();
        let server = world.server(world.config());
        let token = world.token().now_or_never().unwrap();
        let proof = world.proof(&token).now_or_never().unwrap();
        let (mut token, mut proof) = (token.into_bytes(), proof.into_bytes());
        let changed = if in_token { &mut token } else { &mut proof };
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        // A blank at an end is none of the value's.
        prop_assume!(byte != b' ' || (at > 0 && at + 1 < changed.len()));
        changed[at] = byte;
        let authorization = [b"DPoP ", &token[..]].concat();
        let fields = [
            (http::header::AUTHORIZATION, authorization),
            (countersign_dpop::headers::DPOP, proof),
        ];
        sound(&judge(&server, "/a/b", &fields), Stage::Require)?;
        prop_assert_eq!(world.store.len(), 0);
    }
}
