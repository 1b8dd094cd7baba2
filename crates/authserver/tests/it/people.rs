//! Signing in, consent, the account page: what people see, and what protects them.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};

use crate::support::browser::Browser;
use crate::support::flow::{PASSWORD, authorize_path, spa_query};
use crate::support::{Answer, ISSUER, World, at};

const WRONG: &str = "User name or password is wrong.";

impl Browser {
    /// Opens a page and presses a button there.
    pub(crate) async fn press_on(&mut self, world: &World, path: &str, button: &str, typed: &[(&str, &str)]) -> Answer {
        let page = self.get(world, path).await;
        self.press(world, &page, button, typed).await
    }
}

async fn sign_in(world: &World, username: &str, password: &str) -> Answer {
    let typed = [("username", username), ("password", password)];
    Browser::default().press_on(world, "/account", "login", &typed).await
}

#[tokio::test]
async fn unknown_user_wrong_password_and_disabled_user_are_told_the_same() {
    let world = World::for_people("oauth21").await;
    world.server.users().add("ben", "correct horse").await.unwrap();
    assert_eq!(sign_in(&world, "ben", "correct horse").await.status, 303);
    world.server.users().set_disabled("ben", true).await.unwrap();
    let page = |answer: Answer, username: &str| {
        assert_eq!(answer.status, 400);
        assert!(answer.text.contains(WRONG));
        let token = crate::support::browser::attribute(&answer.text, "name=\"token\" value");
        answer.text.replace(&token, "").replace(&format!("value=\"{username}\""), "value=\"\"")
    };
    let unknown = page(sign_in(&world, "nobody", "correct horse").await, "nobody");
    let wrong = page(sign_in(&world, "ada", "correct horse").await, "ada");
    let disabled = page(sign_in(&world, "ben", "correct horse").await, "ben");
    assert_eq!(unknown, wrong);
    assert_eq!(unknown, disabled);
    for (username, password) in [("ada", ""), ("ada", &*"x".repeat(2_000)), ("ADA", PASSWORD), (" ada", PASSWORD)] {
        assert_eq!(sign_in(&world, username, password).await.status, 400, "{username:?}");
    }
}

#[tokio::test]
async fn guessing_has_an_end_for_known_and_unknown_users_alike() {
    let world = World::for_people("oauth21").await;
    for username in ["ada", "nobody"] {
        for _ in 0..10 {
            assert_eq!(sign_in(&world, username, "wrong password").await.status, 400);
        }
        let stopped = sign_in(&world, username, PASSWORD).await;
        assert_eq!((stopped.status.as_u16(), stopped.field("retry-after")), (429, Some("300")));
    }
    world.clock.set(at(world.now() + 300));
    assert_eq!(sign_in(&world, "ada", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn pages_are_guarded() {
    let world = World::for_people("oauth21").await;
    let mut browser = Browser::default();
    let sign_in = browser.get(&world, &spa_query(&[])).await;
    let consent = browser.sign_in(&world, &spa_query(&[])).await;
    let account = browser.get(&world, "/account").await;
    for (page, form_action) in [
        (&sign_in, "form-action 'self' https://spa.example;"),
        (&consent, "form-action 'self' https://spa.example;"),
        (&account, "form-action 'self';"),
    ] {
        let policy = page.field("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains(form_action),
            "{policy}"
        );
        assert!(policy.ends_with("frame-ancestors 'none'; base-uri 'none'"), "{policy}");
        assert_eq!(page.field("x-frame-options"), Some("DENY"));
        assert_eq!(page.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.field("referrer-policy"), Some("same-origin"));
        page.is_not_cached();
        assert!(!page.text.contains("<script") && !page.text.contains("style=\"") && !page.text.contains(" onclick"));
        let style = page.text.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let hash = STANDARD.encode(hash);
        assert!(policy.contains(&hash), "the style that is there is the style that is allowed");
    }
    for id in ["username", "password", "login", "cancel"] {
        assert!(sign_in.text.contains(&format!("id=\"{id}\"")), "{id}");
    }
    for id in ["approve", "cancel"] {
        assert!(consent.text.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

#[tokio::test]
async fn cookies_are_of_this_host_over_https_and_of_nobody_elses_business() {
    let world = World::for_people("oauth21").await;
    let shown = world.get("/account").await;
    let visit = shown.field("set-cookie").unwrap();
    assert!(visit.starts_with("__Host-countersign-visit="), "{visit}");
    assert!(visit.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{visit}");
    let answer = sign_in(&world, "ada", PASSWORD).await;
    let session = answer.field("set-cookie").unwrap();
    assert!(session.starts_with("__Host-countersign-session="), "{session}");
    assert!(session.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{session}");

    let plain = |config: String| config.replacen(ISSUER, "http://127.0.0.1:8090", 1);
    let world = World::for_people_with("oauth21", plain).await;
    let shown = world.get("/account").await;
    let visit = shown.field("set-cookie").unwrap();
    assert!(visit.starts_with("countersign-visit=") && !visit.contains("Secure"), "{visit}");
}

#[tokio::test]
async fn a_form_of_another_page_browser_or_site_is_refused() {
    let world = World::for_people("oauth21").await;
    let mut browser = Browser::default();
    let consent = browser.sign_in(&world, &spa_query(&[])).await;
    let right = || browser.form(&consent, "approve", &[]);
    let forged = async |request| world.send_raw(request).await.is_page(403, "This form has expired");

    let mut other_browser = Browser::default();
    other_browser.sign_in(&world, &spa_query(&[])).await;
    forged(other_browser.form(&consent, "approve", &[])).await;
    forged(Browser::default().form(&consent, "approve", &[])).await;

    let mut elsewhere = right();
    *elsewhere.uri_mut() = format!("{}&x=1", spa_query(&[])).parse().unwrap();
    forged(elsewhere).await;
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let mut request = right();
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        forged(request).await;
    }
    let mut twice = right();
    twice.headers_mut().append(header::ORIGIN, HeaderValue::from_static(ISSUER));
    forged(twice).await;
    // The right one still works, and where a browser says nothing of where it comes from.
    let mut silent = right();
    silent.headers_mut().remove(header::ORIGIN);
    silent.headers_mut().remove("sec-fetch-site");
    assert!(world.send_raw(silent).await.parameter("code").is_some());
}

#[tokio::test]
async fn a_session_ends_with_its_time_its_password_and_its_user() {
    let world = World::for_people("oauth21").await;
    let users = world.server.users();
    users.add("ben", "correct horse").await.unwrap();
    let enter = async |password: &str| {
        let mut browser = Browser::default();
        let typed = [("username", "ben"), ("password", password)];
        let answer = browser.press_on(&world, "/account", "login", &typed).await;
        assert_eq!(answer.status, 303);
        browser
    };
    let is_in = async |browser: &mut Browser| browser.get(&world, "/account").await.text.contains("id=\"logout\"");
    let mut browser = enter("correct horse").await;
    assert!(is_in(&mut browser).await);
    users.set_password("ben", "battery staple").await.unwrap();
    assert!(!is_in(&mut browser).await);
    let mut browser = enter("battery staple").await;
    users.set_disabled("ben", true).await.unwrap();
    assert!(!is_in(&mut browser).await);
    users.set_disabled("ben", false).await.unwrap();
    assert!(is_in(&mut browser).await);
    let mut changed = browser.clone();
    for value in changed.cookies.values_mut() {
        value.replace_range(0..1, if value.starts_with('x') { "y" } else { "x" });
    }
    assert!(!is_in(&mut changed).await);
    world.clock.set(at(world.now() + 8 * 3_600));
    assert!(!is_in(&mut browser).await);
    let mut browser = enter("battery staple").await;
    browser.press_on(&world, "/account", "logout", &[]).await;
    assert!(!is_in(&mut browser).await);
}

#[tokio::test]
async fn users_are_added_changed_and_listed() {
    let world = World::for_people("oauth21").await;
    let users = world.server.users();
    users.add("ben", "correct horse").await.unwrap();
    for (name, password, words) in [
        ("ben", "correct horse", "there is a user of that name already"),
        ("ada", "correct horse", "the configuration has that user"),
        ("app", "correct horse", "a client is called so"),
        ("b n", "correct horse", "not a name for a user"),
        ("", "correct horse", "not a name for a user"),
        ("cy", "short", "fewer than 8 characters"),
    ] {
        let error = users.add(name, password).await.unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    assert!(users.set_password("nobody", "correct horse").await.unwrap_err().to_string().contains("no user"));
    assert!(users.set_disabled("ada", true).await.unwrap_err().to_string().contains("configuration"));
    users.set_disabled("ben", true).await.unwrap();
    let listed: Vec<_> =
        users.list().await.unwrap().into_iter().map(|user| (user.username, user.configured, user.disabled)).collect();
    assert_eq!(listed, [("ada".to_owned(), true, false), ("ben".to_owned(), false, true)]);
}

#[tokio::test]
async fn approvals_are_recorded_shown_and_taken_back() {
    let world = World::for_people("fapi2").await;
    let push = world.push("app").proof(&world.par_proof().text());
    let code = world.code(&push, "app").await;
    let token = world.send(&world.code_request("app", &code).proof(&world.proof().text())).await;
    world.code(&world.push("app2"), "app2").await;

    let listed = world.server.approvals().list(Some("ada")).await.unwrap();
    assert_eq!(world.server.approvals().list(Some("nobody")).await.unwrap(), []);
    let of = |client: &str| listed.iter().find(|approval| approval.client_id == client).unwrap().clone();
    let jkt = world.key.public_jwk().jkt().to_string();
    assert_eq!((of("app").scope.as_str(), of("app").jkt), ("read", Some(jkt.clone())));
    assert_eq!(of("app").until.seconds() - of("app").approved_at.seconds(), 7 * 86_400);
    assert_eq!(token.claims()["grant_id"], of("app").id);

    // By whoever runs the server.
    assert!(world.server.approvals().revoke(&of("app2").id).await.unwrap());
    assert!(!world.server.approvals().revoke(&of("app2").id).await.unwrap(), "once");
    assert!(!world.server.approvals().revoke("unknown").await.unwrap());

    // By the user.
    let mut browser = Browser::default();
    let account = browser.sign_in(&world, "/account").await;
    assert!(account.text.contains("app") && account.text.contains(&jkt) && !account.text.contains("app2"));
    assert_eq!(browser.press(&world, &account, "withdraw", &[]).await.status, 303);
    let account = browser.get(&world, "/account").await;
    assert!(account.text.contains("No app has access now."), "{}", account.text);
    let refresh = world.refresh_request("app", &token.refresh_token()).proof(&world.proof().text());
    world.send(&refresh).await.refused(400, "invalid_grant");
    let ended: Vec<_> = world
        .server
        .approvals()
        .list(None)
        .await
        .unwrap()
        .into_iter()
        .map(|approval| approval.ended.unwrap().1)
        .collect();
    assert_eq!(ended.len(), 2);
    assert!(ended.contains(&"user") && ended.contains(&"operator"));
}

#[tokio::test]
async fn nobody_takes_back_what_is_not_theirs() {
    let world = World::for_people("fapi2").await;
    world.server.users().add("eve", "correct horse").await.unwrap();
    world.code(&world.push("app"), "app").await;
    let mut browser = Browser::default();
    let typed = [("username", "eve"), ("password", "correct horse")];
    browser.press_on(&world, "/account", "login", &typed).await;
    let account = browser.get(&world, "/account").await;
    let id = world.server.approvals().list(None).await.unwrap()[0].id.clone();
    let request = browser.form(&account, "logout", &[("grant", &id)]);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap().replace("action=logout", "action=withdraw");
    let answer = world.send_raw(http::Request::from_parts(parts, axum::body::Body::from(body))).await;
    assert_eq!(answer.status, 303);
    assert_eq!(world.server.approvals().list(None).await.unwrap()[0].ended, None);
}

/// What is logged while `work` runs.
async fn logged(work: impl Future<Output = ()>) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    {
        let _guard = tracing::subscriber::set_default(subscriber);
        work.await;
    }
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn no_secret_is_logged_or_kept_in_the_clear() {
    let world = World::for_people("fapi2").await;
    let secrets = Mutex::new(Vec::new());
    let log = logged(async {
        sign_in(&world, "canary-typed-in-the-wrong-field", "canary-wrong-password").await;
        let push = world.push("app");
        let request_uri = world.pushed(&push).await;
        let mut browser = Browser::default();
        let consent = browser.sign_in(&world, &authorize_path("app", &request_uri)).await;
        let answer = browser.press(&world, &consent, "approve", &[]).await;
        let code = answer.parameter("code").unwrap();
        let token = world.send(&world.code_request("app", &code).proof(&world.proof().text())).await;
        let mut secrets = secrets.lock().unwrap();
        secrets.extend([request_uri, code, token.refresh_token(), token.token().to_owned()]);
        secrets.extend(browser.cookies.into_values());
    })
    .await;
    for known in ["approved", "ada", "sign_in_wrong", "signed_in"] {
        assert!(log.contains(known), "{known} in {log}");
    }
    let mut secrets = secrets.into_inner().unwrap();
    secrets.extend(["canary-typed", "canary-wrong-password", PASSWORD].map(str::to_owned));
    let mut files = Vec::new();
    for file in std::fs::read_dir(world.dir.path().join("data")).unwrap() {
        files.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} in the log");
        assert!(!files.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} in the database");
    }
}
