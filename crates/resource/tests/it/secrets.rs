//! Nothing secret in anything that is written down.

use countersign_dpop::NoncePolicy;
use countersign_resource::{Outcome, RequestFacts, ResourceServer, Stage, Verdict};
use serde_json::json;

use crate::world::{World, get};

async fn judge(server: &ResourceServer, scheme: &str, token: &str, proof: &str) -> Verdict {
    let request = get(&[("authorization", &format!("{scheme} {token}")), ("dpop", proof)]);
    let facts = RequestFacts {
        method: "GET",
        path_and_query: "/a/b?secret=canary-query",
        headers: request.headers(),
        authority: None,
    };
    server.judge(&facts).await
}

/// Every way in which a verdict can be written down.
fn written(verdict: &Verdict) -> String {
    let decision = format!("{:?} {}", verdict.decision, verdict.decision.to_json());
    let outcome = match &verdict.outcome {
        Outcome::Granted(access) => format!("{access:?} {:?}", access.proof()),
        Outcome::Observed(rejection) => format!("{rejection:?} {rejection}"),
        Outcome::Refused(refusal) => {
            let (rejection, body) = (refusal.rejection(), refusal.to_response().into_body());
            format!("{refusal:?} {rejection:?} {rejection} {:?} {body:?}", refusal.challenges())
        }
    };
    format!("{verdict:?} {verdict:#?} {decision} {outcome}")
}

#[tokio::test]
async fn no_verdict_shows_token_proof_nonce_or_query() {
    let world = World::new();
    let token = world.token_claiming(json!({ "sub": "canary-subject" })).await;
    let unbound = world.token_claiming(json!({ "sub": "canary-subject", "cnf": null })).await;
    let expired = world.token_claiming(json!({ "exp": 1 })).await;
    let mut verdicts = 0;
    for stage in Stage::ALL {
        for policy in [NoncePolicy::Never, NoncePolicy::Optional, NoncePolicy::Required] {
            let server = world.server(world.config().with_stage(stage).with_nonce_policy(policy));
            let proof = world.proof(&token).await;
            let mut secrets = vec![token.clone(), unbound.clone(), expired.clone(), proof.clone()];
            let mut all = vec![judge(&server, "DPoP", &token, &proof).await];
            let nonce = all[0].nonce().map(ToOwned::to_owned);
            let with_nonce = world.proof_with(&token, nonce.as_deref().or(Some("canary-nonce"))).await;
            all.push(judge(&server, "DPoP", &token, &with_nonce).await);
            all.push(judge(&server, "DPoP", &token, &with_nonce).await);
            for token in [&token, &unbound, &expired, &token[..token.len() - 1].to_owned()] {
                all.push(judge(&server, "Bearer", token, &proof).await);
                all.push(judge(&server, "DPoP", token, &proof).await);
                all.push(judge(&server, "DPoP", token, token).await);
                all.push(judge(&server, "DPoP", token, &world.proof(token).await).await);
            }
            secrets.push(with_nonce);
            secrets.extend(nonce);
            for verdict in &all {
                let text = written(verdict) + &format!("{server:?}");
                for secret in &secrets {
                    for part in secret.split('.') {
                        assert!(!text.contains(&part[..part.len().min(24)]), "{stage} {policy:?}: {text}");
                    }
                }
                assert!(!text.contains("canary"), "{stage} {policy:?}: {text}");
                verdicts += 1;
            }
        }
    }
    assert_eq!(verdicts, 4 * 3 * 19);
}

#[tokio::test]
async fn a_decision_is_one_line_of_these_fields() {
    let world = World::new();
    let server = world.server(world.config());
    let token = world.token().await;
    let verdict = judge(&server, "DPoP", &token, &world.proof(&token).await).await;
    let decision: serde_json::Value = serde_json::from_str(&verdict.decision.to_json()).unwrap();
    assert_eq!(
        decision,
        json!({
            "version": 1, "time": world.now(), "outcome": "granted", "code": "ok",
            "checks": ["target", "credentials", "proof", "token", "confirmation", "policy", "replay"],
            "offset": 0, "jkt": world.client.jkt().to_string(), "client": "app", "issuer": "https://issuer.example",
            "stage": "require", "scheme": "dpop", "bound": true,
        })
    );
    let verdict = judge(&server, "DPoP", &token, "garbage").await;
    let decision: serde_json::Value = serde_json::from_str(&verdict.decision.to_json()).unwrap();
    let reason = decision["reason"].as_str().unwrap().to_owned();
    assert_eq!(
        decision,
        json!({
            "version": 1, "time": world.now(), "outcome": "refused", "code": "proof_malformed",
            "diagnosis": "P01", "error": "invalid_dpop_proof", "status": 401, "reason": reason, "checks": ["target", "credentials"],
            "client": "app", "issuer": "https://issuer.example",
            "stage": "require", "scheme": "dpop", "bound": true,
        })
    );
}
