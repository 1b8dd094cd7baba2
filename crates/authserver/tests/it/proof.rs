//! Proofs at the token endpoint: refused with 400 and JSON, and nothing is spent by it (row 387).

use http::HeaderName;
use serde_json::json;

use crate::support::jwt::with_bad_signature;
use crate::support::{ISSUER, NOW, Proof, TOKEN_URL, TokenRequest, World};

#[tokio::test]
async fn a_bad_proof_is_refused_and_spends_neither_itself_nor_the_assertion_row_387() {
    let world = World::new().await;
    let request = world.request();
    let good = world.proof();
    let bad: [(&str, Proof<'_>); 12] = [
        ("223 htm", good.clone().claim("htm", "GET")),
        ("224 htm case", good.clone().claim("htm", "post")),
        ("324 issuer as htu", good.clone().claim("htu", ISSUER)),
        ("323 other endpoint", good.clone().claim("htu", "https://as.example/par")),
        ("270 other host", good.clone().claim("htu", "https://evil.example/token")),
        ("243 stale", good.clone().claim("iat", NOW - 3_600)),
        ("244 future", good.clone().claim("iat", NOW + 3_600)),
        ("239 huge iat", good.clone().claim("iat", i64::MIN)),
        ("264 ath", good.clone().claim("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")),
        ("102 typ", good.clone().member("typ", "JWT")),
        ("110 alg", good.clone().member("alg", "none")),
        ("133 crit", good.clone().member("crit", json!([]))),
    ];
    for (row, proof) in bad {
        let answer = world.send(&request.clone().proof(&proof.text())).await;
        assert_eq!(answer.json["error"], "invalid_dpop_proof", "row {row}");
        answer.refused(400, "invalid_dpop_proof");
        assert_eq!(answer.field("www-authenticate"), None, "row {row}");
    }
    let forged = with_bad_signature(&good.text());
    world.send(&request.clone().proof(&forged)).await.refused(400, "invalid_dpop_proof");
    // Rows 331 and 332: the genuine one with the same jti, the same assertion, still work.
    world.send(&request.proof(&good.text())).await.granted("DPoP");
}

#[tokio::test]
async fn takes_one_dpop_field_with_one_proof() {
    let world = World::new().await;
    let (request, one, two) = (world.request(), world.proof().text(), world.proof().text());
    let both = format!("{one},{two}");
    let trailing = format!("{one},");
    let prefixed = format!("DPoP {one}");
    for (row, fields) in [
        ("1", vec![&one, &two]),
        ("3", vec![&one, &both]),
        ("5", vec![&both]),
        ("6", vec![&trailing]),
        ("8", vec![&" \t".to_owned()]),
        ("15", vec![&prefixed]),
        ("empty", vec![&String::new()]),
    ] {
        let request = fields.iter().fold(request.clone(), |request, field| request.proof(field));
        let answer = world.send(&request).await;
        assert_eq!(answer.json["error"], "invalid_dpop_proof", "row {row}");
    }
    let blanks = format!(" {one} ");
    let padded = request.field(HeaderName::from_static("dpop"), &blanks);
    world.send(&padded).await.granted("DPoP"); // row 9
}

#[tokio::test]
async fn a_proof_in_the_form_is_no_proof_row_17() {
    let world = World::new().await;
    for name in ["dpop", "DPoP"] {
        let request = TokenRequest::plain().assertion(&world.assertion("bound").text());
        let request = request.set(name, &world.proof().text());
        world.send(&request).await.refused(400, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn takes_htu_in_every_spelling_that_means_the_token_endpoint() {
    let world = World::new().await;
    for htu in ["HTTPS://AS.Example/token", "https://as.example:443/token", "https://as.example/token?a#b", TOKEN_URL] {
        let proof = world.proof().claim("htu", htu).text();
        world.send(&world.request().proof(&proof)).await.granted("DPoP"); // rows 274, 278
    }
}

#[tokio::test]
async fn takes_times_within_the_window_rows_245_248() {
    let world = World::new().await;
    for (offset, good) in [(-10, true), (-50, true), (10, true), (11, false), (-61, false)] {
        let proof = world.proof().claim("iat", NOW + offset).text();
        let answer = world.send(&world.request().proof(&proof)).await;
        assert_eq!(answer.is_granted(), good, "{offset}: {}", answer.text);
    }
}

#[tokio::test]
async fn listens_to_no_header_for_its_own_address_row_464() {
    let world = World::new().await;
    let proof = world.proof().claim("htu", "https://evil.example/token").text();
    let mut request = world.request().proof(&proof);
    for (name, value) in
        [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")]
    {
        request = request.field(HeaderName::from_static(name), value);
    }
    world.send(&request).await.refused(400, "invalid_dpop_proof");
}

#[tokio::test]
async fn the_proof_is_judged_before_the_client() {
    let world = World::new().await;
    let request = world.request().set("client_assertion", "rubbish").proof("rubbish");
    world.send(&request).await.refused(400, "invalid_dpop_proof");
}

#[tokio::test]
async fn a_refused_client_spends_no_proof() {
    let world = World::new().await;
    let proof = world.proof().text();
    world.send(&world.request().set("client_assertion", "rubbish").proof(&proof)).await.refused(401, "invalid_client");
    world.send(&world.request().set("scope", "admin").proof(&proof)).await.refused(400, "invalid_scope");
    world.send(&world.request().set("resource", "urn:x").proof(&proof)).await.refused(400, "invalid_target");
    world.send(&world.request().proof(&proof)).await.granted("DPoP");
}

#[tokio::test]
async fn an_issuer_below_a_path_wants_that_path_in_htu_row_490() {
    let issuer = "https://as.example/tenant";
    let world = World::with(|config| config.replacen(ISSUER, issuer, 1)).await;
    let post = |htu: &str| {
        let assertion = world.assertion("jwt").claim("aud", issuer).text();
        let request = TokenRequest::plain().assertion(&assertion).proof(&world.proof().claim("htu", htu).text());
        let mut http = request.to_http();
        *http.uri_mut() = "/tenant/token".parse().unwrap();
        http
    };
    world.send_raw(post("https://as.example/tenant/token")).await.granted("DPoP");
    world.send_raw(post(TOKEN_URL)).await.refused(400, "invalid_dpop_proof");
}
