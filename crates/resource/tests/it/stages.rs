//! From Bearer to DPoP in stages.

use countersign_dpop::NoncePolicy;
use countersign_dpop::replay::ReplayStoreError;
use countersign_dpop::time::Timestamp;
use countersign_resource::{BearerAllowance, DecisionOutcome, PresentedScheme, ResourceConfig, Route, Stage};
use serde_json::json;

use crate::world::{Answer, ISSUER, World, request};

#[track_caller]
fn observed(answer: &Answer, code: &str) {
    let decision = answer.decision.as_ref().unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "nobody"), "{decision:?}");
    assert_eq!((decision.code, decision.outcome), (code, DecisionOutcome::Observed));
    assert_eq!(answer.headers.len(), 1, "the answer is the backend's: {:?}", answer.headers);
    assert!(answer.refusal.is_none());
}

#[tokio::test]
async fn observe_refuses_nothing_and_touches_nothing() {
    let world = World::new();
    let config = world.config().with_stage(Stage::Observe).with_nonce_policy(NoncePolicy::Required);
    let guarded = world.guarded(config);
    let token = world.token().await;
    let unbound = world.token_claiming(json!({ "cnf": null })).await;
    let proof = world.proof(&token).await;
    observed(&guarded.get(&[]).await, "no_credentials");
    observed(&guarded.get(&[("authorization", "Basic YTpi")]).await, "no_credentials");
    observed(&guarded.get_bearer(&token).await, "bound_as_bearer");
    observed(&guarded.get_bearer("garbage").await, "token_malformed");
    observed(&guarded.get_dpop(&token, "garbage").await, "proof_malformed");
    observed(&guarded.get_dpop(&unbound, &world.proof(&unbound).await).await, "token_not_bound");
    let authorization = format!("DPoP {token}");
    let repeated = [("authorization", &*authorization), ("dpop", &*proof), ("dpop", &*proof)];
    observed(&guarded.get(&repeated).await, "proof_repeated");
    observed(&guarded.send(request("GET", "/a/b?access_token=x", &[])).await, "token_outside_header");
    observed(&guarded.send(request("OPTIONS", "*", &[])).await, "bad_target");
    let good = guarded.get_dpop(&token, &proof).await;
    good.granted();
    assert_eq!(good.headers.len(), 1);
    observed(&guarded.get_dpop(&token, &proof).await, "replayed");
    guarded.get_bearer(&unbound).await.granted();
    *world.store.fault.lock().unwrap() = Some(ReplayStoreError::Full { capacity: 1 });
    observed(&guarded.get_dpop(&token, &world.proof(&token).await).await, "replay_store_full");
}

#[tokio::test]
async fn accept_takes_both_and_says_nothing_of_an_end() {
    let world = World::new();
    let guarded = world.guarded(world.config().with_stage(Stage::Accept));
    let (token, unbound) = (world.token().await, world.token_claiming(json!({ "cnf": null })).await);
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
    let answer = guarded.get_bearer(&unbound).await;
    answer.granted();
    assert!(!answer.headers.contains_key("deprecation") && !answer.headers.contains_key("sunset"));
    let decision = answer.decision.unwrap();
    assert_eq!((decision.scheme, decision.bound), (PresentedScheme::Bearer, Some(false)));
    guarded.get_dpop(&unbound, &world.proof(&unbound).await).await.refused(
        401,
        Some("invalid_token"),
        "token_not_bound",
    );
    guarded.get_bearer("garbage").await.refused(401, Some("invalid_token"), "token_malformed");
}

#[tokio::test]
async fn prefer_tells_bearer_clients_of_the_end() {
    let world = World::new();
    let (since, until) = (Timestamp::from_seconds(1_690_000_000), Timestamp::from_seconds(1_735_689_599));
    let config = world.config().with_stage(Stage::Prefer).with_bearer_sunset(since, Some(until));
    let guarded = world.guarded(config);
    let unbound = world.token_claiming(json!({ "cnf": null })).await;
    let answer = guarded.get_bearer(&unbound).await;
    answer.granted();
    assert_eq!(answer.headers["deprecation"], "@1690000000");
    assert_eq!(answer.headers["sunset"], "Tue, 31 Dec 2024 23:59:59 GMT");
    let token = world.token().await;
    let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
    answer.granted();
    assert!(!answer.headers.contains_key("deprecation"));
    // Without dates: deprecated since the start.
    let answer = world.guarded(world.config().with_stage(Stage::Prefer)).get_bearer(&unbound).await;
    assert_eq!(answer.headers["deprecation"], format!("@{}", world.now()).as_str());
    assert!(!answer.headers.contains_key("sunset"));
}

#[tokio::test]
async fn require_refuses_every_bearer_request() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let unbound = world.token_claiming(json!({ "cnf": null })).await;
    let answer = guarded.get_bearer(&unbound).await;
    answer.refused(401, Some("invalid_token"), "bearer_not_accepted");
    assert_eq!(answer.challenges().len(), 1);
    assert!(answer.challenges()[0].starts_with("DPoP error=\"invalid_token\""));
    // The client is known all the same, so a report can name it.
    assert_eq!(answer.decision.unwrap().client.as_deref(), Some("app"));
}

fn with_exception(world: &World, stage: Stage, allowance: BearerAllowance) -> ResourceConfig {
    let until = Timestamp::from_seconds(world.now() + 100);
    world.config().with_stage(stage).with_bearer_exception(ISSUER, "app", allowance, until)
}

#[tokio::test]
async fn lets_listed_clients_go_on_until_their_date() {
    let world = World::new();
    let token = world.token().await;
    let unbound = world.token_claiming(json!({ "cnf": null })).await;
    let other = world.token_claiming(json!({ "cnf": null, "client_id": "other" })).await;
    let nameless = world.token_claiming(json!({ "cnf": null, "client_id": null })).await;
    let lenient = world.guarded(with_exception(&world, Stage::Require, BearerAllowance::Unbound));
    let very_lenient = world.guarded(with_exception(&world, Stage::Accept, BearerAllowance::BoundToo));
    for _ in 0..2 {
        lenient.get_bearer(&unbound).await.granted();
        lenient.get_bearer(&token).await.refused(401, Some("invalid_token"), "bound_as_bearer");
        very_lenient.get_bearer(&token).await.granted();
        for stranger in [&other, &nameless] {
            let answer = lenient.get_bearer(stranger).await;
            answer.refused(401, Some("invalid_token"), "bearer_not_accepted");
        }
        world.clock.advance(50);
    }
    // Its last second.
    lenient.get_bearer(&unbound).await.granted();
    world.clock.advance(1);
    lenient.get_bearer(&unbound).await.refused(401, Some("invalid_token"), "bearer_not_accepted");
    very_lenient.get_bearer(&token).await.refused(401, Some("invalid_token"), "bound_as_bearer");
}

#[tokio::test]
async fn the_metadata_claims_no_more_than_is_enforced() {
    let world = World::new();
    let required = |config| world.server(config).metadata().dpop_bound_access_tokens_required;
    assert!(required(world.config()));
    for stage in [Stage::Observe, Stage::Accept, Stage::Prefer] {
        assert!(!required(world.config().with_stage(stage)), "{stage}");
    }
    assert!(!required(with_exception(&world, Stage::Require, BearerAllowance::Unbound)));
    assert!(!required(world.config().with_unbound_routes()));
}

#[test]
fn reads_the_names_of_stages() {
    for stage in Stage::ALL {
        assert_eq!(stage.name().parse(), Ok(stage));
    }
    assert!("Require".parse::<Stage>().is_err() && "".parse::<Stage>().is_err());
}

#[tokio::test]
async fn a_route_moves_on_at_its_dates_and_says_beforehand_when_bearer_ends() {
    let world = World::new();
    let (prefer, require) = (world.now() + 100, world.now() + 200);
    let route = Route::new(Stage::Accept)
        .with_later_stage(Timestamp::from_seconds(require), Stage::Require)
        .with_later_stage(Timestamp::from_seconds(prefer), Stage::Prefer);
    let server = world.server(world.config().with_route(route.clone()));
    let guarded = world.guarded(world.config().with_route(route));
    let unbound = world.token_claiming(json!({ "cnf": null })).await;
    let answer = guarded.get_bearer(&unbound).await;
    answer.granted();
    assert!(!answer.headers.contains_key("sunset"));
    world.clock.advance(99);
    assert_eq!(guarded.get_bearer(&unbound).await.decision.unwrap().stage, Stage::Accept);
    world.clock.advance(1);
    let answer = guarded.get_bearer(&unbound).await;
    answer.granted();
    assert_eq!(answer.decision.unwrap().stage, Stage::Prefer);
    assert_eq!(answer.headers["sunset"], "Tue, 14 Nov 2023 22:16:40 GMT");
    assert!(!server.metadata().dpop_bound_access_tokens_required);
    world.clock.advance(100);
    guarded.get_bearer(&unbound).await.refused(401, Some("invalid_token"), "bearer_not_accepted");
    assert!(server.metadata().dpop_bound_access_tokens_required, "the flag follows by itself");
}

#[tokio::test]
async fn a_client_may_be_ahead_of_the_others_and_has_dates_of_its_own() {
    let world = World::new();
    let at = |seconds| Timestamp::from_seconds(world.now() + seconds);
    let config = world
        .config()
        .with_stage(Stage::Accept)
        .with_bearer_rule(ISSUER, "app", BearerAllowance::Never, at(10)..=Timestamp::MAX)
        .with_bearer_rule(ISSUER, "late", BearerAllowance::BoundToo, at(10)..=at(20));
    assert!(!world.server(config.clone()).metadata().dpop_bound_access_tokens_required);
    let guarded = world.guarded(config);
    let unbound = world.token_claiming(json!({ "cnf": null })).await;
    let bound = world.token_claiming(json!({ "client_id": "late" })).await;
    guarded.get_bearer(&unbound).await.granted();
    guarded.get_bearer(&bound).await.refused(401, Some("invalid_token"), "bound_as_bearer");
    world.clock.advance(10);
    guarded.get_bearer(&unbound).await.refused(401, Some("invalid_token"), "bearer_not_accepted");
    guarded.get_bearer(&bound).await.granted();
    world.clock.advance(11);
    guarded.get_bearer(&bound).await.refused(401, Some("invalid_token"), "bound_as_bearer");
}

#[tokio::test]
async fn whose_request_fails_is_known_where_the_token_is() {
    let world = World::new();
    let token = world.token().await;
    let observing = world.guarded(world.config().with_stage(Stage::Observe));
    let decision = observing.get_dpop(&token, "garbage").await.decision.unwrap();
    assert_eq!((decision.code, decision.client.as_deref()), ("proof_malformed", Some("app")));
    // A forged token names nobody.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    let decision = observing.get_dpop(&forged, "garbage").await.decision.unwrap();
    assert_eq!((decision.code, decision.client), ("proof_malformed", None));
    // Where requests are refused, a bad proof makes nobody look at a new token.
    let strict = world.guarded(world.config());
    let decision = strict.get_dpop(&token, "garbage").await.decision.unwrap();
    assert_eq!((decision.code, decision.client), ("proof_malformed", None));
    strict.get_dpop(&token, &world.proof(&token).await).await.granted();
    let decision = strict.get_dpop(&token, "garbage").await.decision.unwrap();
    assert_eq!(decision.client.as_deref(), Some("app"));
}
