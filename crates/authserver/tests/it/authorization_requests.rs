//! Authorization requests, pushed and direct, right and wrong. The names in parentheses are those of the modules of the
//! OpenID Foundation's FAPI 2.0 suite that demand the same.

use http::{Method, Request};

use crate::support::browser::Browser;
use crate::support::flow::{CALLBACK, CALLBACK_2, VERIFIER, authorize_path, challenge, spa_query};
use crate::support::{Answer, ISSUER, TokenRequest, World};

const DEAD_LINK: &str = "This link does not work";

/// The refused request spends nothing: put right, with the same assertion and proof, it is taken.
async fn refused_and_then_taken(world: &World, wrong: &TokenRequest, right: &TokenRequest, code: &str) {
    world.send(wrong).await.refused(400, code);
    assert_eq!(world.send(right).await.status, 201);
}

#[tokio::test]
async fn a_pushed_request_is_refused_for_what_is_wrong_with_it_and_spends_nothing() {
    let world = World::for_people("fapi2").await;
    let long_state = "x".repeat(2_049);
    for (name, value, code) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"), // row 436
        ("response_type", "code id_token", "unsupported_response_type"), // (ensure-response-type-code-idtoken-fails)
        ("response_mode", "fragment", "invalid_request"),
        ("redirect_uri", "", "invalid_request"), // (par-without-redirect-uri)
        ("redirect_uri", "https://app.example/other", "invalid_request"),
        ("redirect_uri", CALLBACK_2, "invalid_request"),
        ("state", &long_state, "invalid_request"),
        ("scope", "read  write", "invalid_scope"),
        ("scope", "admin", "invalid_scope"),
        ("resource", "https://other.example", "invalid_target"),
        ("code_challenge", "", "invalid_request"), // (par-ensure-pkce-required)
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"), // (par-plain-pkce-rejected), row 410
        ("code_challenge_method", "", "invalid_request"),      // absent means plain
        ("dpop_jkt", "short", "invalid_request"),              // row 392
        ("dpop_jkt", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J", "invalid_request"),
        ("prompt", "dance", "invalid_request"),
        ("request_uri", "urn:ietf:params:oauth:request_uri:x", "invalid_request"), // (par-request-uri-in-request)
        ("authorization_details", "{}", "invalid_authorization_details"),
        ("authorization_details", "[]", "invalid_authorization_details"),
        ("authorization_details", "[{\"type\":\"other\"}]", "invalid_authorization_details"),
        ("authorization_details", "[{\"type\":\"payment\",\"type\":\"payment\"}]", "invalid_authorization_details"),
    ] {
        let right = world.push("app").proof(&world.par_proof().text());
        refused_and_then_taken(&world, &right.clone().set(name, value), &right, code).await;
    }
    for name in ["dpop_jkt", "state", "client_id"] {
        let right = world.push("app").proof(&world.par_proof().text());
        let twice = right.clone().set(name, "app").add(name, "app"); // row 393, (par-duplicate-parameters)
        refused_and_then_taken(&world, &twice, &right, "invalid_request").await;
    }
}

#[tokio::test]
async fn pushing_needs_a_client_with_the_right_assertion() {
    let world = World::for_people("fapi2").await;
    let with = |assertion: &str| world.push("app").assertion(assertion);
    let rs256 = countersign_dpop::jose::SoftwareKey::generate(countersign_dpop::jose::Algorithm::Rs256).unwrap();
    let by_rs256 = crate::support::Assertion::new(std::sync::Arc::new(rs256), "app", world.now());
    for assertion in [
        world.assertion("app").claim("aud", "https://as.example/par"), // row 425, (par-endpoint-as-audience)
        world.assertion("app").claim("aud", "https://as.example/token"), // row 424
        world.assertion("app").claim("aud", serde_json::json!([ISSUER])), // (aud-array)
        world.assertion("app").claim("exp", world.now() - 300),        // row 427
        world.assertion("app").without("sub"),                         // row 428
        world.assertion("app").claim("nbf", world.now() + 61),
        world.assertion("app2"), // another client's
        by_rs256,                // row 429
    ] {
        world.send(&with(&assertion.text())).await.refused(401, "invalid_client");
    }
    let ahead = world.assertion("app").claim("nbf", world.now() + 8).claim("iat", world.now() + 8); // row 430
    assert_eq!(world.send(&with(&ahead.text())).await.status, 201);
    let none = world.push("app").without("client_assertion").without("client_assertion_type"); // row 434
    world.send(&none).await.refused(401, "invalid_client");
    for method in [Method::GET, Method::PUT] {
        let request = Request::builder().method(method).uri("/par").body(axum::body::Body::empty()).unwrap();
        assert_eq!(world.send_raw(request).await.status, 405); // row 420, (par-get-request)
    }
}

#[tokio::test]
async fn a_proof_at_the_pushing_endpoint_and_dpop_jkt_must_agree_row_389() {
    let world = World::for_people("oauth21").await;
    let own = world.key.public_jwk().jkt().to_string();
    let other = world.client_key.public_jwk().jkt().to_string();
    let proof = world.par_proof().text();
    let right = world.push("app").proof(&proof).set("dpop_jkt", &own);
    refused_and_then_taken(&world, &right.clone().set("dpop_jkt", &other), &right, "invalid_request").await;
    // The proof was recorded with the request that was taken.
    let again = world.push("app").proof(&proof).set("dpop_jkt", &own);
    world.send(&again).await.refused(400, "invalid_dpop_proof");
    for proof in
        [world.proof(), world.par_proof().claim("htm", "GET"), world.par_proof().claim("iat", world.now() - 61)]
    {
        world.send(&world.push("app").proof(&proof.text())).await.refused(400, "invalid_dpop_proof");
    }
    // (ensure-dpopproof-with-iat-10seconds-before, -after)
    for iat in [world.now() - 10, world.now() + 8] {
        let proof = world.par_proof().claim("iat", iat).text();
        assert_eq!(world.send(&world.push("app").proof(&proof)).await.status, 201);
    }
}

#[tokio::test]
async fn a_nonce_is_demanded_of_proofs_at_the_pushing_endpoint_too() {
    let world = World::for_people_with("fapi2", |config| format!("nonce = \"required\"\n{config}")).await;
    let push = world.push("app");
    let asked = world.send(&push.clone().proof(&world.par_proof().text())).await;
    asked.refused(400, "use_dpop_nonce");
    let nonce = asked.nonce().unwrap();
    let answered = world.send(&push.proof(&world.par_proof().claim("nonce", nonce).text())).await;
    assert_eq!(answered.status, 201, "the same assertion is still good");
}

#[tokio::test]
async fn before_a_redirect_uri_is_trusted_there_is_one_plain_page() {
    let world = World::for_people("oauth21").await;
    let challenge = challenge(VERIFIER);
    for path in [
        "/authorize".to_owned(),
        "/authorize?".to_owned(),
        "/authorize?client_id=%zz".to_owned(),
        spa_query(&[("client_id", "")]),
        spa_query(&[("client_id", "nobody")]),
        spa_query(&[("redirect_uri", "")]), // two are registered
        spa_query(&[("redirect_uri", "https://evil.example/")]),
        spa_query(&[("redirect_uri", "https://spa.example/?")]),
        spa_query(&[("redirect_uri", "https://spa.example/x")]),
        spa_query(&[("redirect_uri", "http://127.0.0.1:x/callback")]),
        spa_query(&[("redirect_uri", "http://127.0.0.1:8080/other")]),
        format!("{}&client_id=spa", spa_query(&[])),
        format!("{}&redirect_uri=https://evil.example/", spa_query(&[])),
        // a client without redirect URIs
        format!("/authorize?client_id=basic&response_type=code&code_challenge={challenge}"),
        authorize_path("app", "urn:ietf:params:oauth:request_uri:unknown"),
        authorize_path("spa", "https://evil.example/request.jwt"),
    ] {
        world.get(&path).await.is_page(400, DEAD_LINK);
    }
    let huge = format!("/authorize?client_id=spa&x={}", "x".repeat(8_192));
    world.get(&huge).await.is_page(400, DEAD_LINK);
}

#[tokio::test]
async fn nothing_is_reflected_unescaped() {
    let world = World::for_people("oauth21").await;
    let page = world.get(&format!("{}&x=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", spa_query(&[]))).await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("<script>") && !page.text.contains("\"><"), "{}", page.text);
    let raw = world.get(&format!("{}&x='", spa_query(&[]))).await;
    assert!(!raw.text.contains("x='"), "{}", raw.text);
    let username = "\"><script>";
    let typed = [("username", username), ("password", "x")];
    let again = Browser::default().press_on(&world, &spa_query(&[]), "login", &typed).await;
    assert!(again.status == 400 && !again.text.contains("<script"), "{}", again.text);
}

#[tokio::test]
async fn after_that_errors_go_back_to_the_client() {
    let world = World::for_people("oauth21").await;
    for (name, value, code) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "form_post", "invalid_request"),
        ("scope", "admin", "invalid_scope"),
        ("scope", "re\"ad", "invalid_scope"),
        ("resource", "https://other.example", "invalid_target"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("dpop_jkt", "x", "invalid_request"),
        ("prompt", "none", "login_required"),
        ("prompt", "none login", "invalid_request"),
        ("request", "a.b.c", "invalid_request"),
        ("authorization_details", "[{\"type\":\"payment\"}]", "invalid_authorization_details"),
    ] {
        let answer = world.get(&spa_query(&[(name, value)])).await;
        answer.sent_back_with(code);
        assert_eq!(answer.parameter("state").as_deref(), Some("state-1"), "{name}={value}");
        assert!(answer.location().starts_with("https://spa.example/?error="));
    }
    world.get(&format!("{}&scope=read", spa_query(&[]))).await.sent_back_with("invalid_request");
    let without_state = world.get(&spa_query(&[("state", ""), ("scope", "admin")])).await;
    assert_eq!(without_state.parameter("state"), None, "never invented"); // row 441
}

#[tokio::test]
async fn what_must_be_pushed_is_refused_directly_and_sent_back() {
    let world = World::for_people("fapi2").await;
    let challenge = challenge(VERIFIER);
    let direct = format!(
        "/authorize?client_id=app&response_type=code&redirect_uri={CALLBACK}&code_challenge={challenge}&\
         code_challenge_method=S256&state=s"
    );
    let answer = world.get(&direct).await; // (ensure-not-using-par-fails)
    answer.sent_back_with("invalid_request");
    assert_eq!(answer.parameter("state").as_deref(), Some("s"));
    let option = "redirect_uris = [\"http://127.0.0.1/callback\"";
    let demanded =
        |config: String| config.replace(option, &format!("require_pushed_authorization_requests = true\n{option}"));
    let world = World::for_people_with("oauth21", demanded).await;
    world.get(&spa_query(&[])).await.sent_back_with("invalid_request");
}

#[tokio::test]
async fn a_native_client_picks_its_port() {
    let world = World::for_people("oauth21").await;
    for uri in ["http://127.0.0.1:49152/callback", "http://127.0.0.1/callback"] {
        let answer = world.approve(&spa_query(&[("redirect_uri", uri)])).await;
        assert!(answer.location().starts_with(&format!("{uri}?code=")), "{}", answer.location());
    }
}

#[tokio::test]
async fn state_comes_back_as_it_was_and_the_query_of_the_redirect_uri_stays() {
    let world = World::for_people("fapi2").await;
    let long: String = (b'!'..=b'z').cycle().take(400).map(char::from).collect(); // row 442
    for state in ["", "state-1", "a b+c%20&=?#ü", &long] {
        let pushed = world.pushed(&world.push("app2").set("state", state)).await;
        // (state-outside, state-inside-and-outside): what stands beside request_uri does not count, row 394
        let beside = "&state=outside&dpop_jkt=x&redirect_uri=https://evil.example/&scope=admin";
        let page = format!("{}{}", authorize_path("app2", &pushed), beside.replace("&redirect_uri", "&x"));
        let answer = world.approve(&page).await;
        assert!(answer.location().starts_with(&format!("{CALLBACK_2}&code=")), "{}", answer.location());
        assert_eq!(answer.parameter("state").as_deref(), Some(state).filter(|state| !state.is_empty()));
    }
}

#[tokio::test]
async fn request_uri_lives_until_it_is_answered_or_its_time_is_over() {
    let world = World::for_people("fapi2").await;
    let pushed = world.pushed(&world.push("app")).await;
    let page = authorize_path("app", &pushed);
    // Of another client (par-attempt-to-use-request_uri-for-different-client), row 415.
    world.get(&authorize_path("app2", &pushed)).await.is_page(400, DEAD_LINK);
    // Opened twice before it is answered, row 417.
    assert_eq!(world.get(&page).await.status, 200);
    let mut browser = Browser::default();
    let consent = browser.sign_in(&world, &page).await;
    browser.press(&world, &consent, "approve", &[]).await.parameter("code").unwrap();
    // Answered: dead, rows 416; also for a form that was open.
    world.get(&page).await.is_page(400, DEAD_LINK);
    browser.press(&world, &consent, "approve", &[]).await.is_page(400, DEAD_LINK);
    browser.press(&world, &consent, "cancel", &[]).await.is_page(400, DEAD_LINK);

    let page = authorize_path("app", &world.pushed(&world.push("app")).await);
    let consent = browser.get(&world, &page).await;
    world.clock.set(crate::support::at(world.now() + 590));
    assert_eq!(world.get(&page).await.status, 200);
    world.clock.set(crate::support::at(world.now() + 1));
    world.get(&page).await.is_page(400, DEAD_LINK); // row 418
    browser.press(&world, &consent, "approve", &[]).await.is_page(400, DEAD_LINK);
}

#[tokio::test]
async fn of_many_answers_at_once_exactly_one_counts() {
    let world = World::for_people("fapi2").await;
    let page = authorize_path("app", &world.pushed(&world.push("app")).await);
    let mut browser = Browser::default();
    let consent = browser.sign_in(&world, &page).await;
    let presses = (0..20).map(|n| {
        let request = browser.form(&consent, if n % 2 == 0 { "approve" } else { "cancel" }, &[]);
        world.send_raw(request)
    });
    let answers: Vec<Answer> = futures_util::future::join_all(presses).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1);
}

#[tokio::test]
async fn cancelling_sends_the_user_back_row_439() {
    let world = World::for_people("fapi2").await;
    // On the consent page, and before signing in. (user-rejects-authentication)
    for signs_in in [true, false] {
        let page = authorize_path("app", &world.pushed(&world.push("app")).await);
        let mut browser = Browser::default();
        let shown = if signs_in { browser.sign_in(&world, &page).await } else { browser.get(&world, &page).await };
        let answer = browser.press(&world, &shown, "cancel", &[]).await;
        answer.sent_back_with("access_denied");
        assert_eq!(answer.parameter("state").as_deref(), Some("state-1"));
        world.get(&page).await.is_page(400, DEAD_LINK);
    }
}

#[tokio::test]
async fn prompt_login_asks_for_the_password_again() {
    let world = World::for_people("oauth21").await;
    let mut browser = Browser::default();
    browser.sign_in(&world, &spa_query(&[])).await;
    let again = browser.get(&world, &spa_query(&[("prompt", "login")])).await;
    assert!(again.text.contains("id=\"password\""), "{}", again.text);
    let consent = browser.sign_in(&world, &spa_query(&[("prompt", "login")])).await;
    assert!(consent.text.contains("id=\"approve\""));
    let answer = browser.press(&world, &consent, "approve", &[]).await;
    assert!(answer.parameter("code").is_some());
    browser.get(&world, &spa_query(&[("prompt", "none")])).await.sent_back_with("consent_required");
    world.clock.set(crate::support::at(world.now() + 301));
    let later = browser.get(&world, &spa_query(&[("prompt", "login")])).await;
    assert!(later.text.contains("id=\"password\""), "that was long ago");
}

#[tokio::test]
async fn authorization_details_are_shown_carried_and_told() {
    let world = World::for_people("oauth21").await;
    let details = r#"[{"type":"payment","amount":"<b>12</b>"}]"#;
    let push = world.push("app").set("authorization_details", details);
    let page = authorize_path("app", &world.pushed(&push).await);
    let mut browser = Browser::default();
    let consent = browser.sign_in(&world, &page).await;
    assert!(consent.text.contains("payment") && !consent.text.contains("<b>12"), "{}", consent.text);
    let code = browser.press(&world, &consent, "approve", &[]).await.parameter("code").unwrap();
    let token = world.send(&world.code_request("app", &code)).await;
    let claims = token.granted_to_user("Bearer");
    let expected: serde_json::Value = serde_json::from_str(details).unwrap();
    assert_eq!((&claims["authorization_details"], &token.json["authorization_details"]), (&expected, &expected));
}
