//! The decision log by its schema, and the access log beside it.

use std::path::Path;
use std::sync::Arc;

use countersign_gateway::report::{Row, Tally};
use countersign_gateway::{DecisionSink, LineFormat, LogPlace, Logs};
use countersign_resource::Stage;
use serde_json::Value;

use crate::world::{HOST, World};

fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/decision.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::validator_for(&schema).unwrap()
}

/// Requests of every kind at this stage.
async fn lines(stage: Stage) -> Vec<String> {
    let world = World::start_with(|settings| settings.stage = stage).await;
    let upstream = async {
        let answering = async |mut wire: crate::wire::Wire| {
            while wire.read_message().await.line.contains("HTTP") {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        };
        loop {
            answering(world.accept().await).await;
        }
    };
    let asking = async {
        let token = world.token().await;
        let unbound = world.token_with(|claims| drop(claims.as_object_mut().unwrap().remove("cnf"))).await;
        let good = world.request("GET", "/").await;
        let bare = |fields: String| format!("GET /canary-path?canary-query=1 HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n");
        let mut client = world.connect().await;
        for request in [
            good.clone(),
            good,
            world.request("GET", "/").await.replace("GET / ", "PUT / "),
            bare(String::new()),
            bare(format!("Authorization: Bearer {token}\r\n")),
            bare(format!("Authorization: Bearer {unbound}\r\n")),
            bare("Authorization: Bearer canary-token\r\n".to_owned()),
            bare(format!("Authorization: DPoP {token}\r\nDPoP: canary-proof\r\n")),
            bare(format!("Authorization: DPoP {token}\r\n")),
            "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n".to_owned(),
        ] {
            client.send(&request).await;
            client.read_message().await;
        }
    };
    tokio::select! {
        () = upstream => (),
        () = asking => (),
    }
    world.decisions.all().iter().map(countersign_resource::Decision::to_json).collect()
}

#[tokio::test]
async fn every_line_is_by_the_schema_and_can_be_read_again() {
    let schema = schema();
    for stage in Stage::ALL {
        let lines = lines(stage).await;
        assert_eq!(lines.len(), 10);
        let mut tally = Tally::since(0);
        for line in &lines {
            let value: Value = serde_json::from_str(line).unwrap();
            let faults: Vec<_> = schema.iter_errors(&value).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{line}: {faults:?}");
            assert!(value["request"].is_string() && !line.contains("canary") && !line.contains('\n'), "{line}");
            assert_eq!(Row::read(line).unwrap().stage(), Some(stage));
            tally.add_line(line);
        }
        let report = tally.report();
        assert_eq!((report.requests, report.skipped), (10, 0));
        assert_eq!(report.stages[2].ready, stage == Stage::Require, "{stage}: {report:?}");
    }
}

#[test]
fn the_schema_refuses_what_is_no_decision() {
    let schema = schema();
    let good =
        r#"{"version":1,"time":1,"outcome":"granted","code":"ok","checks":[],"stage":"require","scheme":"dpop"}"#;
    let good: Value = serde_json::from_str(good).unwrap();
    assert!(schema.is_valid(&good));
    for (member, value) in [
        ("version", 2.into()),
        ("token", "x".into()),
        ("outcome", "lost".into()),
        ("code", "replayed".into()),
        ("checks", "proof".into()),
        ("stage", Value::Null),
        ("jkt", "short".into()),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        assert!(!schema.is_valid(&bad), "{bad}");
    }
}

#[tokio::test]
async fn decisions_and_accesses_have_one_name_for_a_request_and_go_where_they_are_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let (decisions, accesses) = (directory.path().join("decisions"), directory.path().join("accesses"));
    let logs = Logs::open(
        (&LogPlace::File(decisions.clone()), LineFormat::Json),
        (&LogPlace::File(accesses.clone()), LineFormat::Json),
    )
    .unwrap();
    let world = World::start_logging(Arc::new(logs)).await;
    let mut client = world.connect().await;
    client.send(&format!("GET /canary?canary=1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let refused = client.read_message().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    assert_eq!(client.read_message().await.status(), 400);
    drop(client);
    world.finish().await;
    let read = |path| -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (decisions, accesses) = (read(&decisions), read(&accesses));
    assert_eq!((decisions.len(), accesses.len()), (1, 2));
    assert_eq!(refused.field("x-request-id"), decisions[0]["request"].as_str());
    assert_eq!(accesses[0]["request"], decisions[0]["request"]);
    assert_eq!((&accesses[0]["path"], &accesses[0]["status"]), (&"/canary".into(), &401.into()));
    assert_eq!((&accesses[0]["code"], &accesses[0]["route"]), (&"no_credentials".into(), &"default".into()));
    assert_eq!((&accesses[1]["code"], &accesses[1]["status"]), (&"host_repeated".into(), &400.into()));
}

#[test]
fn a_place_that_cannot_be_opened_is_named() {
    let place = LogPlace::File("/nowhere/log".into());
    let fault = Logs::open((&place, LineFormat::Json), (&LogPlace::None, LineFormat::Json)).unwrap_err();
    assert!(fault.to_string().starts_with("/nowhere/log: "), "{fault}");
    let silent = Logs::open((&LogPlace::None, LineFormat::Text), (&LogPlace::None, LineFormat::Text)).unwrap();
    assert!(!silent.wants_access() && silent.lost() == 0);
}
