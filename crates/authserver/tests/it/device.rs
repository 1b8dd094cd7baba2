//! Devices without a browser (RFC 8628), and what revoking a token of a user ends.

use countersign_dpop::jose::{Algorithm, SoftwareKey};

use crate::support::browser::Browser;
use crate::support::{API, Answer, Proof, SECRET, TokenRequest, World};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const DEVICE_URL: &str = "https://as.example/device_authorization";

/// People, and clients that may act for them at a device.
async fn world() -> World {
    World::for_people_with("oauth21", |config| {
        let grants = format!("grants = [\"authorization_code\", \"refresh_token\", \"{GRANT}\"]");
        config.replace("grants = [\"authorization_code\", \"refresh_token\"]", &grants)
    })
    .await
}

/// A request of the public client `spa`, with a proof.
async fn begin(world: &World) -> Answer {
    let proof = world.proof().claim("htu", DEVICE_URL).text();
    let request = TokenRequest::to("/device_authorization").set("client_id", "spa").set("scope", "read");
    let answer = world.send(&request.proof(&proof)).await;
    assert_eq!((answer.status.as_u16(), answer.field("cache-control")), (200, Some("no-store")), "{}", answer.text);
    answer
}

fn code_of(begun: &Answer, name: &str) -> String {
    begun.json[name].as_str().unwrap().to_owned()
}

fn poll(world: &World, begun: &Answer) -> TokenRequest {
    let device_code = code_of(begun, "device_code");
    let request = TokenRequest::plain().set("grant_type", GRANT).set("client_id", "spa");
    request.set("device_code", &device_code).proof(&world.proof().text())
}

/// Signs in, types the code and presses the button.
async fn decide(world: &World, begun: &Answer, button: &str) -> Answer {
    let mut browser = Browser::default();
    let page = browser.sign_in(world, "/device").await;
    let typed = code_of(begun, "user_code").to_lowercase();
    let confirm = browser.press(world, &page, "lookup", &[("user_code", &typed)]).await;
    for shown in ["spa", "ada", "read", API, &code_of(begun, "user_code"), "7 days", "id=\"approve\"", "id=\"cancel\""]
    {
        assert!(confirm.text.contains(shown), "{shown} in {}", confirm.text);
    }
    browser.press(world, &confirm, button, &[]).await
}

#[tokio::test]
async fn a_device_gets_a_bound_token_when_its_user_has_approved() {
    let world = world().await;
    let begun = begin(&world).await;
    assert_eq!((begun.json["expires_in"].as_i64(), begun.json["interval"].as_i64()), (Some(600), Some(5)));
    assert_eq!(begun.json["verification_uri"], "https://as.example/device");
    let complete = format!("https://as.example/device?user_code={}", code_of(&begun, "user_code"));
    assert_eq!(begun.json["verification_uri_complete"], complete);

    let waiting = poll(&world, &begun);
    world.send(&waiting).await.refused(400, "authorization_pending");
    assert_eq!(decide(&world, &begun, "approve").await.status, 200);
    world.clock.advance(5);
    // The same request, refused before, is good now: the refusal has spent nothing of it.
    let answer = world.send(&waiting).await;
    let claims = answer.granted_to_user("DPoP");
    assert_eq!(claims["cnf"]["jkt"], world.key.public_jwk().jkt().to_string());
    assert_eq!((claims["sub"].as_str(), claims["scope"].as_str()), (Some("ada"), Some("read")));
    assert_eq!(answer.refresh_token().len(), 43);
    // A device code is good once.
    world.send(&poll(&world, &begun)).await.refused(400, "invalid_grant");
    let approved = world.server.approvals().list(Some("ada")).await.unwrap();
    assert_eq!((approved.len(), approved[0].client_id.as_str()), (1, "spa"));
}

#[tokio::test]
async fn polls_too_often_wait_longer_and_a_refusal_is_told() {
    let world = world().await;
    let begun = begin(&world).await;
    world.send(&poll(&world, &begun)).await.refused(400, "authorization_pending");
    world.clock.advance(4);
    world.send(&poll(&world, &begun)).await.refused(400, "slow_down");
    world.clock.advance(9);
    world.send(&poll(&world, &begun)).await.refused(400, "slow_down");
    world.clock.advance(15);
    world.send(&poll(&world, &begun)).await.refused(400, "authorization_pending");
    assert_eq!(decide(&world, &begun, "cancel").await.status, 200);
    world.send(&poll(&world, &begun)).await.refused(400, "access_denied");
    assert!(world.server.approvals().list(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_decides_after_the_time_is_over() {
    let world = world().await;
    let begun = begin(&world).await;
    world.clock.advance(601);
    world.send(&poll(&world, &begun)).await.refused(400, "expired_token");
    let mut browser = Browser::default();
    let page = browser.sign_in(&world, "/device").await;
    let typed = code_of(&begun, "user_code");
    let answer = browser.press(&world, &page, "lookup", &[("user_code", &typed)]).await;
    assert!(answer.status == 400 && answer.text.contains("not known"), "{}", answer.text);
}

#[tokio::test]
async fn a_code_is_bound_to_the_client_and_to_the_key_it_was_asked_for_with() {
    let world = world().await;
    let begun = begin(&world).await;
    decide(&world, &begun, "approve").await;
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let bare = TokenRequest::plain().set("grant_type", GRANT).set("device_code", &code_of(&begun, "device_code"));
    let by = |key: &SoftwareKey| Proof::new(key, world.now()).text();
    world.send(&bare.clone().set("client_id", "spa").proof(&by(&other))).await.refused(400, "invalid_grant");
    world.send(&bare.clone().set("client_id", "spa")).await.refused(400, "invalid_dpop_proof");
    let by_app = bare.clone().assertion(&world.assertion("app").text()).proof(&by(&world.key));
    world.send(&by_app).await.refused(400, "invalid_grant");
    let unknown = bare.clone().set("client_id", "spa").set("device_code", "x");
    world.send(&unknown.proof(&by(&world.key))).await.refused(400, "invalid_grant");
    // After all that it is still good, for 50 at once exactly once.
    let requests: Vec<_> = (0..50).map(|_| poll(&world, &begun)).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| world.send(request))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_granted()).count(), 1);
}

#[tokio::test]
async fn what_a_device_may_not_ask_for_is_refused() {
    let world = world().await;
    let ask = || TokenRequest::to("/device_authorization").set("client_id", "spa");
    world.send(&ask().set("scope", "admin")).await.refused(400, "invalid_scope");
    world.send(&ask().set("resource", "https://other.example")).await.refused(400, "invalid_target");
    world.send(&ask().proof(&world.proof().text())).await.refused(400, "invalid_dpop_proof");
    world.send(&TokenRequest::to("/device_authorization")).await.refused(401, "invalid_client");
    let not_registered = TokenRequest::to("/device_authorization").basic("basic", SECRET);
    world.send(&not_registered).await.refused(400, "unauthorized_client");
}

#[tokio::test]
async fn wrong_codes_are_counted_and_forged_forms_refused() {
    let world = world().await;
    let begun = begin(&world).await;
    let mut browser = Browser::default();
    let page = browser.sign_in(&world, "/device").await;
    for n in 0..11 {
        let answer = browser.press(&world, &page, "lookup", &[("user_code", "BCDF-GHJK")]).await;
        let (status, words, wait) = if n < 10 { (400, "not known", None) } else { (429, "Too many", Some("300")) };
        assert_eq!((answer.status.as_u16(), answer.field("retry-after")), (status, wait), "{n}");
        assert!(answer.text.contains(words), "{n}: {}", answer.text);
    }
    world.clock.advance(301);
    let typed = code_of(&begun, "user_code");
    let confirm = browser.press(&world, &page, "lookup", &[("user_code", &typed)]).await;
    let mut stranger = Browser::default();
    stranger.sign_in(&world, "/device").await;
    let forged = stranger.press(&world, &confirm, "approve", &[]).await;
    assert_ne!(forged.status, 200, "a form of another browser");
    world.send(&poll(&world, &begun)).await.refused(400, "authorization_pending");
    assert!(!browser.get(&world, "/device?user_code=%3Cscript%3E").await.text.contains("<script"));
}

#[tokio::test]
async fn revoking_a_token_of_a_user_ends_the_whole_family() {
    for what in ["refresh_token", "access_token"] {
        let world = world().await;
        let begun = begin(&world).await;
        decide(&world, &begun, "approve").await;
        let answer = world.send(&poll(&world, &begun)).await;
        let (access, refresh) = (answer.token().to_owned(), answer.refresh_token().clone());
        let is_active = async || {
            let ask = TokenRequest::to("/introspect").basic("basic", SECRET).set("token", &access);
            world.send(&ask).await.json["active"].as_bool()
        };
        assert_eq!(is_active().await, Some(true));
        let token = if what == "refresh_token" { &refresh } else { &access };
        let revoke = |client: &str| TokenRequest::to("/revoke").set("client_id", client).set("token", token);
        let by_other = TokenRequest::to("/revoke").assertion(&world.assertion("app").text()).set("token", token);
        assert_eq!(world.send(&by_other).await.status, 200);
        assert_eq!(is_active().await, Some(true), "another client ends nothing");
        assert_eq!(world.send(&revoke("spa")).await.status, 200);
        assert_eq!(is_active().await, Some(false), "{what}");
        let refreshed = TokenRequest::plain().set("grant_type", "refresh_token").set("client_id", "spa");
        let refreshed = refreshed.set("refresh_token", &refresh).proof(&world.proof().text());
        world.send(&refreshed).await.refused(400, "invalid_grant");
    }
}
