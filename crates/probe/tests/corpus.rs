//! Playing cases finds what it should find: a server at fault, and a case at fault.
#![expect(clippy::unwrap_used, reason = "a case that cannot be read fails its test")]

use countersign_probe::corpus::{Answer, Case, ForgedRequest, Level, Line, Server, Site, parse_lines, play};
use http::{HeaderMap, StatusCode};

#[test]
fn a_site_that_serves_everything_fails_a_case_that_refuses() {
    let case = case(
        r#"{"row": 1, "title": "t", "applies": [], "steps": [
        {"proof": [{"remove": ["claims", "jti"]}], "expect": "invalid_dpop_proof"}]}"#,
    );
    let found = play(&case, Level::Layer, &mut Always::new(StatusCode::OK)).unwrap_err();
    assert_eq!(found.to_string(), "step 1: expected 401 invalid_dpop_proof, found 200");
}

#[test]
fn a_site_that_refuses_everything_fails_a_case_that_accepts() {
    let case = case(r#"{"row": 1, "title": "t", "applies": [], "steps": [{"expect": "accept"}]}"#);
    let found = play(&case, Level::Layer, &mut Always::new(StatusCode::UNAUTHORIZED)).unwrap_err();
    assert_eq!(found.to_string(), "step 1: expected 200, found 401");
}

#[test]
fn a_refusal_without_its_challenge_is_no_refusal() {
    let case = case(r#"{"row": 1, "title": "t", "applies": [], "steps": [{"expect": "no_credentials"}]}"#);
    let found = play(&case, Level::Layer, &mut Always::new(StatusCode::UNAUTHORIZED)).unwrap_err();
    assert_eq!(found.to_string(), "step 1: no DPoP challenge with algs");
}

#[test]
fn of_copies_exactly_one_is_to_be_served() {
    let case = case(
        r#"{"row": 1, "title": "t", "applies": [], "steps": [
        {"copies": 3, "expect": "invalid_dpop_proof"}]}"#,
    );
    let found = play(&case, Level::Core, &mut Always::new(StatusCode::OK)).unwrap_err();
    assert_eq!(found.to_string(), "step 1: 3 copies were accepted instead of one");
}

#[test]
fn an_answer_that_gives_the_proof_back_breaks_a_rule() {
    let case = case(r#"{"row": 1, "title": "t", "applies": [], "steps": [{"expect": "accept"}]}"#);
    let mut site = Always { status: StatusCode::OK, echoes: true, sent: Vec::new() };
    let found = play(&case, Level::Layer, &mut site).unwrap_err();
    assert_eq!(found.to_string(), "step 1: a part of the request's token or proof comes back in a field");
}

#[test]
fn a_case_that_changes_nothing_or_what_is_not_there_is_at_fault() {
    for change in [
        r#"{"remove": ["claims", "exp"]}"#,
        r#"{"encoding": ["header", "line_feed"]}, {"key": "nobody's"}"#,
        r#"{"set": ["claims", "jti", "${nothing}"]}"#,
        r#"{"set": ["cnf", "jkt", "1"]}"#,
        r#"{"key": "ed25519"}, {"signature": {"ecdsa": "der"}}"#,
        r#"{"text": ["signature", "x"]}"#,
    ] {
        let line = format!(
            r#"{{"row": 1, "title": "t", "applies": [], "steps": [{{"proof": [{change}], "expect": "accept"}}]}}"#
        );
        let found = play(&case(&line), Level::Core, &mut Always::new(StatusCode::OK)).unwrap_err().to_string();
        assert!(found.starts_with("step 1: cannot be forged: "), "{change}: {found}");
    }
}

#[test]
fn words_that_are_not_in_the_vocabulary_are_refused() {
    for line in [
        r#"{"row": 1, "title": "t", "applies": [], "steps": [], "verdict": "accept"}"#,
        r#"{"row": 1, "title": "t", "applies": ["moon"], "steps": []}"#,
        r#"{"row": 1, "title": "t", "applies": [], "steps": [{"expect": "perhaps"}]}"#,
        r#"{"row": 1, "title": "t", "applies": [], "steps": [{"proof": [{"shake": "well"}], "expect": "accept"}]}"#,
        r#"{"row": 1, "title": "t", "not_here": "because"}"#,
    ] {
        assert!(parse_lines(line).unwrap_err().to_string().starts_with("line 1: "), "{line}");
    }
}

#[test]
fn the_same_case_is_the_same_request_but_for_ecdsa() {
    let line = r#"{"row": 1, "title": "t", "applies": [], "steps": [
        {"token": [{"key": "rs256"}], "proof": [{"key": "ed25519"}], "expect": "accept"}]}"#;
    let [one, two] = [(), ()].map(|()| {
        let mut site = Always::new(StatusCode::OK);
        play(&case(line), Level::Core, &mut site).unwrap();
        site.sent
    });
    assert!(one == two && one.len() == 1);
}

fn case(line: &str) -> Case {
    let line = parse_lines(&line.replace('\n', " ")).unwrap().remove(0);
    let Line::Case(case) = line else { panic!("a case") };
    *case
}

struct Always {
    status: StatusCode,
    echoes: bool,
    sent: Vec<ForgedRequest>,
}

impl Always {
    fn new(status: StatusCode) -> Self {
        Self { status, echoes: false, sent: Vec::new() }
    }
}

impl Site for Always {
    fn origin(&self, _: Server) -> String {
        "https://rs.example".to_owned()
    }

    fn send(&mut self, _: Server, requests: &[ForgedRequest]) -> Vec<Answer> {
        self.sent.extend_from_slice(requests);
        let answer = |request: &ForgedRequest| {
            let mut fields = HeaderMap::new();
            if self.echoes {
                fields.insert("x-debug", request.values("dpop").next().unwrap().parse().unwrap());
            }
            Answer::read(self.status, fields)
        };
        requests.iter().map(answer).collect()
    }

    fn wait(&mut self, _: i64) {}

    fn restart(&mut self) {}
}
