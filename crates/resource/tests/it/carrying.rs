//! Carrying the proof (bad-input group A) as the layer sees it.

use countersign_dpop::MAX_PROOF_LENGTH;
use countersign_resource::Check;
use serde_json::json;

use crate::world::{World, request};

#[tokio::test]
async fn rows_1_3_and_4_refuse_two_proofs_whatever_they_are() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let authorization = format!("DPoP {token}");
    let (one, two) = (world.proof(&token).await, world.proof(&token).await);
    for (first, second) in [(&*one, &*two), (&one, &one), (&one, "garbage"), ("garbage", &one), (&one, "")] {
        let answer = guarded.get(&[("authorization", &authorization), ("dpop", first), ("DPoP", second)]).await;
        answer.refused(401, Some("invalid_dpop_proof"), "proof_repeated");
    }
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn rows_5_to_23_refuse_what_is_not_one_proof() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let (one, two) = (world.proof(&token).await, world.proof(&token).await);
    let rows = [
        (5, format!("{one},{two}"), "proof_not_text"),
        (6, format!("{one},"), "proof_not_text"),
        (8, " \t ".to_owned(), "proof_not_text"),
        (15, format!("DPoP {one}"), "proof_not_text"),
        (23, format!("{one};param=1"), "proof_malformed"),
    ];
    for (row, field, code) in rows {
        let answer = guarded.get_dpop(&token, &field).await;
        let found = answer.decision.as_ref().unwrap().code;
        assert_eq!(found, code, "row {row}");
        answer.refused(401, Some("invalid_dpop_proof"), code);
    }
}

/// Characters are looked at only where a proof does not parse, or a request is refused before that: still they are its
/// first fault, with a header that is known and with one that is not.
#[tokio::test]
async fn other_characters_are_the_first_fault_wherever_they_are() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    for is_known in [false, true] {
        let proof = world.proof(&token).await;
        let dots: Vec<_> = proof.match_indices('.').map(|(at, _)| at).collect();
        for at in [1, dots[0], dots[0] + 1, dots[1] - 1, dots[1] + 1, proof.len() - 2, proof.len()] {
            for bad in [",", " ", "\u{e9}", "\t"] {
                let field = if at == proof.len() { format!("{proof}{bad}x") } else { replaced(&proof, at, bad) };
                let answer = guarded.get_dpop(&token, &field).await;
                assert!(!answer.decision.as_ref().unwrap().checks.has(Check::Credentials), "{is_known} {at} {bad:?}");
                answer.refused(401, Some("invalid_dpop_proof"), "proof_not_text");
                let authorization = format!("DPoP {token}");
                let fields = [("authorization", &*authorization), ("dpop", &field)];
                let answer = guarded.send(request("GET", "/a/b?access_token=1", &fields)).await;
                answer.refused(401, Some("invalid_dpop_proof"), "proof_not_text");
            }
        }
        assert_eq!(world.store.len(), usize::from(is_known));
        guarded.get_dpop(&token, &proof).await.granted();
    }
}

fn replaced(text: &str, at: usize, by: &str) -> String {
    format!("{}{by}{}", &text[..at], &text[at + 1..])
}

#[tokio::test]
async fn row_9_takes_blanks_around_the_proof() {
    let world = World::new();
    let token = world.token().await;
    let proof = format!(" \t{} ", world.proof(&token).await);
    world.guarded(world.config()).get_dpop(&token, &proof).await.granted();
}

#[tokio::test]
async fn row_19_does_not_know_other_fields() {
    let world = World::new();
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let fields = [("authorization", &*format!("DPoP {token}")), ("x-dpop", &*proof)];
    let answer = world.guarded(world.config()).get(&fields).await;
    answer.refused(401, Some("invalid_dpop_proof"), "proof_missing");
}

#[tokio::test]
async fn rows_20_and_21_take_a_proof_at_the_cap_and_none_beyond() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let mut sizes = (false, false);
    for pad in 2_400..2_800 {
        for header_pad in 0..3 {
            let header = json!({ "pad": "x".repeat(header_pad) });
            let claims = json!({ "pad": "x".repeat(pad), "jti": format!("{pad} {header_pad}") });
            let length = MAX_PROOF_LENGTH - 2..=MAX_PROOF_LENGTH + 2;
            let estimate = (pad + 600) * 4 / 3;
            if !(MAX_PROOF_LENGTH - 300..MAX_PROOF_LENGTH + 300).contains(&estimate) {
                continue;
            }
            let proof = world.proof_of(header, &token, claims).await;
            if proof.len() == MAX_PROOF_LENGTH && !sizes.0 {
                guarded.get_dpop(&token, &proof).await.granted();
                sizes.0 = true;
            } else if length.contains(&proof.len()) && proof.len() > MAX_PROOF_LENGTH && !sizes.1 {
                let answer = guarded.get_dpop(&token, &proof).await;
                answer.refused(401, Some("invalid_dpop_proof"), "proof_malformed");
                sizes.1 = true;
            }
        }
    }
    assert_eq!(sizes, (true, true), "both lengths were made");
}

#[tokio::test]
async fn refuses_a_proof_for_another_method_path_or_host() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let fields = [("authorization", &*format!("DPoP {token}")), ("dpop", &*proof)];
    let other_method = guarded.send(request("POST", "/a/b", &fields)).await;
    other_method.refused(401, Some("invalid_dpop_proof"), "htm_mismatch");
    let other_path = guarded.send(request("GET", "/a/b/", &fields)).await;
    other_path.refused(401, Some("invalid_dpop_proof"), "htu_mismatch");
    let other_host = world.proof_claiming(&token, json!({ "htu": "https://other.example/a/b" })).await;
    guarded.get_dpop(&token, &other_host).await.refused(401, Some("invalid_dpop_proof"), "htu_mismatch");
    // The host in the request counts for nothing: the public origin is configured.
    let misled = [fields[0], fields[1], ("host", "other.example"), ("x-forwarded-host", "other.example")];
    guarded.get(&misled).await.granted();
}

#[tokio::test]
async fn says_how_far_off_the_clients_clock_is() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    for (offset, code) in [(-61, "proof_stale"), (11, "proof_from_future"), (-60, "ok"), (10, "ok"), (0, "ok")] {
        let claims = json!({ "iat": world.now() + offset, "jti": format!("jti {offset}") });
        let answer = guarded.get_dpop(&token, &world.proof_claiming(&token, claims).await).await;
        let decision = answer.decision.unwrap();
        assert_eq!((decision.code, decision.offset), (code, Some(offset)));
    }
}
