//! From the pushed request to the bound token.

use crate::support::browser::Browser;
use crate::support::flow::{CALLBACK, authorize_path};
use crate::support::{API, ISSUER, World};

#[tokio::test]
async fn the_whole_way_from_a_pushed_request_to_a_bound_token_row_386() {
    for profile in ["oauth21", "fapi2", "mcp"] {
        let world = World::for_people(profile).await;
        let pushed = world.send(&world.push("app").proof(&world.par_proof().text())).await;
        assert_eq!((pushed.status.as_u16(), pushed.field("cache-control")), (201, Some("no-store")));
        assert!(pushed.json["expires_in"].as_i64().unwrap() < 600);
        let page = authorize_path("app", pushed.json["request_uri"].as_str().unwrap());

        let mut browser = Browser::default();
        let consent = browser.sign_in(&world, &page).await;
        for shown in ["app", "ada", "read", API, "7 days", "Bound to a key", "https://app.example"] {
            assert!(consent.text.contains(shown), "{shown} in {}", consent.text);
        }
        let answer = browser.press(&world, &consent, "approve", &[]).await;
        assert!(answer.location().starts_with(&format!("{CALLBACK}?code=")), "{}", answer.location());
        assert_eq!(answer.parameter("state").as_deref(), Some("state-1"));
        assert_eq!(answer.parameter("iss").as_deref(), Some(ISSUER));
        let code = answer.parameter("code").unwrap();
        assert_eq!(code.len(), 43, "256 bits");

        let token = world.send(&world.code_request("app", &code).proof(&world.proof().text())).await;
        let claims = token.granted_to_user("DPoP");
        assert_eq!(claims["cnf"]["jkt"], world.key.public_jwk().jkt().to_string());
        assert_eq!((claims["client_id"].as_str(), claims["scope"].as_str()), (Some("app"), Some("read")));
        assert_eq!(token.refresh_token().len(), 43);
    }
}
