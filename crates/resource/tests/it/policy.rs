//! A policy beside the route's scopes: asked after the confirmation and before the record.

use countersign_dpop::error::{McpError, PolicyError};
use countersign_resource::{Caller, Check, Outcome, Policy, RequestFacts, Route, Stage, Verdict};
use http::{HeaderMap, StatusCode, header};

use crate::world::World;

/// Answers what it was told to, and notes whom it was asked about.
struct Told {
    answer: Result<Vec<String>, PolicyError>,
    asked: Vec<String>,
}

impl Told {
    fn to(answer: Result<&[&str], McpError>) -> Self {
        let answer = answer.map(|scopes| scopes.iter().map(ToString::to_string).collect()).map_err(PolicyError::from);
        Self { answer, asked: Vec::new() }
    }
}

impl Policy for Told {
    async fn needs(&mut self, caller: Caller<'_>) -> Result<Vec<String>, PolicyError> {
        let (issuer, subject, client, jkt) = (caller.issuer(), caller.subject(), caller.client_id(), caller.jkt());
        self.asked.push(format!("{issuer} {subject:?} {client:?} {}", jkt.is_some()));
        self.answer.clone()
    }
}

async fn judge(world: &World, route: &Route, policy: &mut Told, fields: &[(header::HeaderName, String)]) -> Verdict {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.insert(name, value.parse().unwrap());
    }
    let facts = RequestFacts { method: "GET", path_and_query: "/a/b", headers: &headers, authority: None };
    world.server(world.config()).judge_by(&facts, route, policy).await
}

async fn good(world: &World) -> Vec<(header::HeaderName, String)> {
    let token = world.token().await;
    let proof = world.proof(&token).await;
    vec![(header::AUTHORIZATION, format!("DPoP {token}")), ("dpop".parse().unwrap(), proof)]
}

#[tokio::test]
async fn it_is_asked_about_a_confirmed_caller_and_its_scopes_count() {
    let world = World::new();
    let mut policy = Told::to(Ok(&["write"]));
    let verdict = judge(&world, &Route::new(Stage::Require), &mut policy, &good(&world).await).await;
    assert!(matches!(verdict.outcome, Outcome::Granted(_)), "{verdict:?}");
    assert_eq!(policy.asked, [r#"https://issuer.example Some("alice") Some("app") true"#]);
    assert_eq!(world.store.len(), 1);
}

#[tokio::test]
async fn all_scopes_of_route_and_policy_are_told_at_once_and_nothing_is_recorded() {
    let world = World::new();
    let route = Route::new(Stage::Require).with_scopes(["read"]);
    let mut policy = Told::to(Ok(&["audit", "read"]));
    let verdict = judge(&world, &route, &mut policy, &good(&world).await).await;
    let Outcome::Refused(refusal) = &verdict.outcome else { panic!("{verdict:?}") };
    assert_eq!(refusal.status(), StatusCode::FORBIDDEN);
    assert_eq!(refusal.challenges()[0].scope.as_deref(), Some("read audit"));
    assert!(!verdict.decision.checks.has(Check::Policy) && world.store.len() == 0);
}

#[tokio::test]
async fn what_it_refuses_is_in_the_decision_and_spends_nothing() {
    let world = World::new();
    let mut policy = Told::to(Err(McpError::NotAllowed));
    let verdict = judge(&world, &Route::new(Stage::Require), &mut policy, &good(&world).await).await;
    let Outcome::Refused(refusal) = &verdict.outcome else { panic!("{verdict:?}") };
    assert_eq!((refusal.status(), refusal.code()), (StatusCode::FORBIDDEN, None));
    assert!(refusal.challenges().is_empty(), "no other token would help");
    assert_eq!((verdict.decision.code, verdict.decision.status), ("mcp_not_allowed", Some(403)));
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn it_is_not_asked_about_strangers_nor_at_observe() {
    let world = World::new();
    let mut policy = Told::to(Err(McpError::NotAllowed));
    judge(&world, &Route::new(Stage::Require), &mut policy, &[]).await;
    let token = world.token().await;
    let other = world.proof_claiming(&token, serde_json::json!({ "htm": "PUT" })).await;
    let fields = [(header::AUTHORIZATION, format!("DPoP {token}")), ("dpop".parse().unwrap(), other)];
    judge(&world, &Route::new(Stage::Require), &mut policy, &fields).await;
    let verdict = judge(&world, &Route::new(Stage::Observe), &mut policy, &good(&world).await).await;
    assert!(matches!(verdict.outcome, Outcome::Granted(_)));
    assert!(policy.asked.is_empty());
}
