//! Entries: changed only as they were read.

use countersign_authserver::storage::{
    Change, Entry, EntryContent, EntryId, EntryKind, Listing, SingleUse, Storage, Verdict,
};
use countersign_dpop::time::Timestamp;

use super::once::{assertion, proof};
use super::{NOW, Opener, at};

pub(super) async fn changes_an_entry_only_while_it_is_as_it_was_read(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let storage = storage.as_ref();
    let id = EntryId::of("one");
    assert_eq!(storage.find(EntryKind::Code, id).await.unwrap(), None);
    let add = |body: &str| Change::Add(EntryKind::Code, id, content(body));
    assert_eq!(change(storage, &[add("{}")]).await, Verdict::First);
    assert_eq!(change(storage, &[add("{\"other\":1}")]).await, Verdict::Conflict);
    let read = found(storage, "one").await;
    assert_eq!((read.at.version, &read.content), (1, &content("{}")));
    assert_eq!(storage.find(EntryKind::Grant, id).await.unwrap(), None, "another kind is another entry");

    let second = EntryContent { owner: None, not_after: at(NOW + 90), body: "{\"é\":2}".to_owned() };
    assert_eq!(change(storage, &[Change::Replace(read.at, second.clone())]).await, Verdict::First);
    let changed = found(storage, "one").await;
    assert_eq!((changed.at.version, &changed.content), (2, &second));
    for stale in [Change::Replace(read.at, content("{}")), Change::Keep(read.at), Change::Remove(read.at)] {
        assert_eq!(change(storage, &[stale]).await, Verdict::Conflict);
    }
    assert_eq!(change(storage, &[Change::Keep(changed.at)]).await, Verdict::First);
    assert_eq!(found(storage, "one").await, changed);
    assert_eq!(change(storage, &[Change::Remove(changed.at)]).await, Verdict::First);
    assert_eq!(storage.find(EntryKind::Code, id).await.unwrap(), None);
}

pub(super) async fn records_and_changes_all_or_nothing(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let add = |name: &str| Change::Add(EntryKind::Code, EntryId::of(name), content("{}"));
    let once = SingleUse { proof: Some(proof(1, NOW)), assertion: Some(assertion(1, NOW + 60)) };
    assert_eq!(change(storage.as_ref(), &[add("there")]).await, Verdict::First);
    let conflict = storage.commit(&once, &[add("new"), add("there")], at(NOW)).await.unwrap();
    assert_eq!(conflict, Verdict::Conflict);
    assert_eq!(storage.find(EntryKind::Code, EntryId::of("new")).await.unwrap(), None);
    assert_eq!(storage.commit(&once, &[add("new")], at(NOW)).await.unwrap(), Verdict::First);
    // What the proof is refused for comes first, and leaves the entries alone.
    for (once, verdict) in [
        (SingleUse { assertion: None, ..once }, Verdict::ProofReplayed),
        (SingleUse { proof: None, ..once }, Verdict::AssertionReplayed),
    ] {
        assert_eq!(storage.commit(&once, &[add("more")], at(NOW)).await.unwrap(), verdict);
        assert_eq!(storage.commit(&once, &[add("there")], at(NOW)).await.unwrap(), verdict);
    }
    assert_eq!(storage.find(EntryKind::Code, EntryId::of("more")).await.unwrap(), None);
}

pub(super) async fn adds_many_entries_in_one_go_or_none_of_them(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let storage = storage.as_ref();
    let add = |n: usize| {
        let owner = n.is_multiple_of(2).then(|| format!("user {n}"));
        let content = EntryContent { owner, not_after: at(NOW + 60), body: format!("{{\"é\":{n}}}") };
        Change::Add(EntryKind::Code, EntryId::of(&n.to_string()), content)
    };
    let many: Vec<Change> = (0..1_001).map(add).collect();
    for there in [0, 555, 1_000] {
        assert_eq!(change(storage, &[add(there)]).await, Verdict::First);
        assert_eq!(change(storage, &many).await, Verdict::Conflict);
        let listing = Listing { kind: EntryKind::Code, owner: None, after: None, limit: 2_000 };
        let [only] = &storage.list(listing).await.unwrap()[..] else { panic!("more than what was there") };
        assert_eq!(change(storage, &[Change::Remove(only.at)]).await, Verdict::First);
    }
    assert_eq!(change(storage, &[add(2_000)]).await, Verdict::First);
    let other = found(storage, "2000").await;
    let mut mixed = many;
    mixed.insert(300, Change::Replace(other.at, content("{}")));
    assert_eq!(change(storage, &mixed).await, Verdict::First);
    assert_eq!(found(storage, "2000").await.content, content("{}"));
    for n in 0..1_001 {
        let Change::Add(_, _, content) = add(n) else { unreachable!() };
        assert_eq!(found(storage, &n.to_string()).await.content, content);
    }
}

pub(super) async fn of_many_changes_at_once_exactly_one_is_made(opener: &dyn Opener) {
    let (one, two) = (opener.open(NOW - 600).await, opener.open(NOW - 600).await);
    let add = Change::Add(EntryKind::Code, EntryId::of("it"), content("{}"));
    assert_eq!(change(one.as_ref(), &[add]).await, Verdict::First);
    let read = found(one.as_ref(), "it").await;
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let storage = if n % 2 == 0 { one.clone() } else { two.clone() };
            let once = SingleUse { proof: Some(proof(n, NOW)), assertion: None };
            let changes = vec![Change::Replace(read.at, content(&format!("{{\"n\":{n}}}")))];
            tokio::spawn(async move { storage.commit(&once, &changes, at(NOW)).await.unwrap() })
        })
        .collect();
    let mut verdicts = Vec::new();
    for task in tasks {
        verdicts.push(task.await.unwrap());
    }
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::First).count(), 1);
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Conflict).count(), 49);
    assert_eq!(one.count_recorded().await.unwrap(), 1, "the losers' proofs are not spent");
}

pub(super) async fn lists_entries_by_kind_and_owner_page_by_page(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    for (n, owner) in [Some("ada"), Some("ada"), Some("ben"), None, Some("ada")].into_iter().enumerate() {
        let content = EntryContent { owner: owner.map(str::to_owned), ..content("{}") };
        let add = Change::Add(EntryKind::Grant, EntryId::of(&n.to_string()), content);
        assert_eq!(change(storage.as_ref(), &[add]).await, Verdict::First);
    }
    assert_eq!(
        change(storage.as_ref(), &[Change::Add(EntryKind::Code, EntryId::of("c"), content("{}"))]).await,
        Verdict::First
    );
    for (owner, count) in [(None, 5), (Some("ada"), 3), (Some("ben"), 1), (Some("eve"), 0), (Some(""), 0)] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let listing = Listing { kind: EntryKind::Grant, owner, after, limit: 2 };
            let page = storage.list(listing).await.unwrap();
            assert!(
                page.len() <= 2 && page.iter().all(|entry| owner.is_none() || entry.content.owner.as_deref() == owner)
            );
            let Some(last) = page.last() else { break };
            after = Some(last.at.id);
            seen.extend(page.iter().map(|entry| entry.at.id));
        }
        assert!(seen.is_sorted());
        assert_eq!(seen.len(), count, "{owner:?}");
    }
}

pub(super) async fn entries_outlive_a_restart_and_are_swept_after_their_end(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let forever = EntryContent { not_after: Timestamp::MAX, ..content("{}") };
    let changes = [
        Change::Add(EntryKind::Code, EntryId::of("ends"), content("{}")),
        Change::Add(EntryKind::User, EntryId::of("stays"), forever),
    ];
    assert_eq!(change(storage.as_ref(), &changes).await, Verdict::First);
    drop(storage);
    let storage = opener.open(NOW).await;
    found(storage.as_ref(), "ends").await;
    assert_eq!(storage.sweep(at(NOW + 60 + 60)).await.unwrap(), 0);
    assert_eq!(storage.sweep(at(NOW + 60 + 61)).await.unwrap(), 1);
    assert_eq!(storage.find(EntryKind::Code, EntryId::of("ends")).await.unwrap(), None);
    assert!(storage.find(EntryKind::User, EntryId::of("stays")).await.unwrap().is_some());
}

fn content(body: &str) -> EntryContent {
    EntryContent { owner: Some("ada".to_owned()), not_after: at(NOW + 60), body: body.to_owned() }
}

async fn change(storage: &dyn Storage, changes: &[Change]) -> Verdict {
    storage.commit(&SingleUse::default(), changes, at(NOW)).await.unwrap()
}

async fn found(storage: &dyn Storage, name: &str) -> Entry {
    storage.find(EntryKind::Code, EntryId::of(name)).await.unwrap().unwrap()
}
