use countersign_testkit::FakeClock;

use super::*;
use crate::peer::ProcessInfo;

fn ask(subject: Subject) -> Ask {
    Ask {
        id: 0,
        binding: "writer".to_owned(),
        process: vec![ProcessInfo { pid: 4_711, exe: "/bin/agent".to_owned() }],
        verified: true,
        tool: Some("write_ledger".to_owned()),
        mcp: Some("tools/call".to_owned()),
        resource: "https://a.example/mcp".to_owned(),
        method: "POST".to_owned(),
        path: "/mcp".to_owned(),
        scope: None,
        reason: None,
        arguments: None,
        subject,
        asked_at: 0,
        lapses_at: 0,
    }
}

fn call() -> Subject {
    Subject::Call { binding: "writer".to_owned(), tool: "write_ledger".to_owned() }
}

fn tool() -> Subject {
    Subject::Tool { binding: "writer".to_owned(), tool: "write_ledger".to_owned() }
}

fn approvals() -> (Arc<Approvals>, FakeClock) {
    let clock = FakeClock::default();
    (Arc::new(Approvals::new(Duration::from_mins(1), clock.shared())), clock)
}

#[tokio::test(start_paused = true)]
async fn yes_once_is_yes_once() {
    let (approvals, _) = approvals();
    let (asked, answer) = approvals.put(ask(call())).expect("room");
    approvals.decide(asked.id, Decision::Once, &[]).expect("waits");
    assert_eq!(answer.await, Ok(Approved { id: asked.id }));
    assert_eq!(approvals.covering(&call()), None);
    assert_eq!(approvals.decide(asked.id, Decision::Once, &[]), Err(DecisionError::Unknown));
}

#[tokio::test(start_paused = true)]
async fn yes_for_a_while_covers_the_same_until_then() {
    let (approvals, clock) = approvals();
    let (first, answer) = approvals.put(ask(call())).expect("room");
    let (_, same) = approvals.put(ask(call())).expect("room");
    approvals.decide(first.id, Decision::For(30), &[]).expect("waits");
    assert!(answer.await.is_ok() && same.await.is_ok(), "who waits for the same goes on too");
    assert_eq!(approvals.covering(&call()), Some(Approved { id: first.id }));
    assert_eq!(approvals.covering(&tool()), None);
    clock.advance(30);
    assert_eq!(approvals.covering(&call()), None);
}

#[tokio::test(start_paused = true)]
async fn a_mode_that_asks_once_remembers_until_the_lock() {
    let (approvals, clock) = approvals();
    let (asked, answer) = approvals.put(ask(tool())).expect("room");
    approvals.decide(asked.id, Decision::Once, &[]).expect("waits");
    assert!(answer.await.is_ok());
    clock.advance(1_000_000);
    assert!(approvals.covering(&tool()).is_some());
    approvals.forget();
    assert_eq!(approvals.covering(&tool()), None);
}

#[tokio::test(start_paused = true)]
async fn no_and_silence_are_no() {
    let (approvals, _) = approvals();
    let (asked, answer) = approvals.put(ask(call())).expect("room");
    approvals.decide(asked.id, Decision::Deny, &[4_711]).expect("anyone may say no");
    assert_eq!(answer.await, Err(NotApproved::Denied));
    let (asked, answer) = approvals.put(ask(call())).expect("room");
    assert_eq!(answer.await, Err(NotApproved::Lapsed));
    assert_eq!(approvals.decide(asked.id, Decision::Once, &[]), Err(DecisionError::Unknown));
    assert!(approvals.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_approves_himself() {
    let (approvals, _) = approvals();
    let (asked, answer) = approvals.put(ask(call())).expect("room");
    assert_eq!(approvals.decide(asked.id, Decision::Once, &[9_000, 4_711]), Err(DecisionError::OwnRequest));
    approvals.decide(asked.id, Decision::Once, &[9_000]).expect("another one may");
    assert!(answer.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_bounded_and_leave_no_trace() {
    let (approvals, _) = approvals();
    let mut answers = Vec::new();
    for _ in 0..MAX_WAITING {
        answers.push(approvals.put(ask(call())).expect("room").1);
    }
    assert_eq!(approvals.put(ask(call())).err(), Some(NotApproved::TooMany));
    drop(answers);
    assert!(approvals.waiting().is_empty());
}
