//! The storage contract, run against every implementation.

use std::sync::Arc;

use countersign_authserver::storage::{
    AssertionEntry, AssertionKey, Change, Entry, EntryContent, EntryId, EntryKind, KeyState, Listing, SealedKey,
    SingleUse, SqliteStorage, Storage, Verdict,
};
use countersign_dpop::jose::Algorithm;
use countersign_dpop::replay::{EpochId, ReplayEntry, ReplayKey};
use countersign_dpop::time::{NumericDate, Timestamp, Window};
use tempfile::TempDir;

const NOW: i64 = 1_800_000_000;

/// A kind of storage that can be opened again.
struct Backend {
    dir: TempDir,
}

impl Backend {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    async fn open(&self, now: i64) -> Arc<dyn Storage> {
        Arc::new(SqliteStorage::open(self.dir.path(), Window::RFC, at(now)).await.unwrap())
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn proof(id: u8, iat: i64) -> ReplayEntry {
    ReplayEntry {
        key: ReplayKey::from_bytes([id; 32]),
        iat: NumericDate::from_seconds(iat),
        not_after: at(iat + 60),
        nonce_epoch: None,
        quota: None,
    }
}

fn assertion(id: u8, not_after: i64) -> AssertionEntry {
    AssertionEntry { key: AssertionKey::from_bytes([id; 32]), not_after: at(not_after) }
}

async fn record(
    storage: &dyn Storage,
    proof: Option<ReplayEntry>,
    assertion: Option<AssertionEntry>,
    now: i64,
) -> Verdict {
    storage.record(&SingleUse { proof, assertion }, at(now)).await.unwrap()
}

#[tokio::test]
async fn records_each_entry_once() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
    let both = |p, a| (Some(proof(p, NOW)), Some(assertion(a, NOW + 60)));
    for (entries, verdict) in [
        (both(1, 1), Verdict::First),
        (both(1, 2), Verdict::ProofReplayed),
        (both(2, 1), Verdict::AssertionReplayed),
        (both(2, 2), Verdict::First), // neither was left behind by the refusals
        ((Some(proof(2, NOW)), None), Verdict::ProofReplayed),
        ((None, Some(assertion(2, NOW + 60))), Verdict::AssertionReplayed),
        ((None, None), Verdict::First),
        ((None, None), Verdict::First),
    ] {
        assert_eq!(record(storage.as_ref(), entries.0, entries.1, NOW).await, verdict, "{entries:?}");
    }
    assert_eq!(storage.count_recorded().await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_exactly_one_is_first() {
    let backend = Backend::new();
    let (one, two) = (backend.open(NOW - 600).await, backend.open(NOW - 600).await);
    for id in 0..4 {
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let storage = if n % 2 == 0 { one.clone() } else { two.clone() };
                // Half of them agree in the proof only, half in the assertion only, one pair of each kind in both.
                let entries = SingleUse {
                    proof: Some(proof(id, NOW)),
                    assertion: Some(assertion(if n % 4 < 2 { id } else { 100 + n }, NOW + 60)),
                };
                tokio::spawn(async move { storage.record(&entries, at(NOW)).await.unwrap() })
            })
            .collect();
        let mut first = 0;
        for task in tasks {
            first += u32::from(task.await.unwrap() == Verdict::First);
        }
        assert_eq!(first, 1);
    }
}

#[tokio::test]
async fn remembers_across_a_restart() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
    let epoch = storage.epoch();
    assert_eq!(record(storage.as_ref(), Some(proof(1, NOW)), Some(assertion(1, NOW + 60)), NOW).await, Verdict::First);
    drop(storage);
    let storage = backend.open(NOW).await;
    assert_eq!(storage.epoch(), epoch);
    assert_eq!(record(storage.as_ref(), Some(proof(1, NOW)), None, NOW).await, Verdict::ProofReplayed);
    assert_eq!(record(storage.as_ref(), None, Some(assertion(1, NOW + 60)), NOW).await, Verdict::AssertionReplayed);
}

#[tokio::test]
async fn demands_a_nonce_of_its_epoch_at_and_before_the_floor() {
    let backend = Backend::new();
    let storage = backend.open(NOW).await;
    let epoch = storage.epoch();
    assert_eq!(epoch.floor, at(NOW + 10));
    let with = |id, iat, nonce_epoch| Some(ReplayEntry { nonce_epoch, ..proof(id, iat) });
    let other = EpochId::from_bytes([7; 16]);
    for (entry, verdict) in [
        (with(1, NOW, None), Verdict::NonceDemanded),
        (with(1, NOW + 10, None), Verdict::NonceDemanded),
        (with(1, NOW, Some(other)), Verdict::NonceDemanded),
        (with(1, NOW, Some(epoch.id)), Verdict::First),
        (with(1, NOW, Some(epoch.id)), Verdict::ProofReplayed),
        (with(2, NOW + 11, None), Verdict::First),
        (with(3, NOW + 11, Some(other)), Verdict::First),
    ] {
        assert_eq!(record(storage.as_ref(), entry, None, NOW).await, verdict, "{entry:?}");
    }
}

#[tokio::test]
async fn sweeps_what_has_ended_and_nothing_that_lives() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
    for id in 0..5 {
        let entries = (Some(proof(id, NOW + i64::from(id))), Some(assertion(id, NOW + 60 + i64::from(id))));
        assert_eq!(record(storage.as_ref(), entries.0, entries.1, NOW).await, Verdict::First);
    }
    assert_eq!(storage.sweep(at(NOW + 60)).await.unwrap(), 0);
    assert_eq!(storage.sweep(at(NOW + 60 + 60 + 3)).await.unwrap(), 6, "three of each kind ended a minute ago");
    assert_eq!(storage.count_recorded().await.unwrap(), 4);
    assert_eq!(record(storage.as_ref(), Some(proof(4, NOW + 4)), None, NOW + 123).await, Verdict::ProofReplayed);
}

#[tokio::test]
async fn sweeps_a_little_while_it_records() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
    let unique = |n: u16, iat: i64| {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&n.to_be_bytes());
        Some(ReplayEntry { key: ReplayKey::from_bytes(key), ..proof(0, iat) })
    };
    for n in 0..100 {
        assert_eq!(record(storage.as_ref(), unique(n, NOW), None, NOW).await, Verdict::First);
    }
    for n in 100..200 {
        assert_eq!(record(storage.as_ref(), unique(n, NOW + 1_000), None, NOW + 1_000).await, Verdict::First);
    }
    assert_eq!(storage.count_recorded().await.unwrap(), 100);
}

#[tokio::test]
async fn a_clock_set_back_begins_an_epoch_and_refuses_what_could_be_forgotten() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
    let epoch = storage.epoch();
    let entries = (Some(proof(1, NOW)), Some(assertion(1, NOW + 60)));
    assert_eq!(record(storage.as_ref(), entries.0, entries.1, NOW).await, Verdict::First);
    assert_eq!(storage.sweep(at(NOW + 3_600)).await.unwrap(), 2);
    assert_eq!(record(storage.as_ref(), None, None, NOW + 3_600).await, Verdict::First);
    // Back by a second: nothing happens. Further back: a new epoch whose floor covers all that was accepted.
    assert_eq!(record(storage.as_ref(), Some(proof(2, NOW + 3_599)), None, NOW + 3_599).await, Verdict::First);
    assert_eq!(storage.epoch(), epoch);
    assert_eq!(record(storage.as_ref(), entries.0, None, NOW).await, Verdict::NonceDemanded);
    assert_ne!(storage.epoch().id, epoch.id);
    assert_eq!(storage.epoch().floor, at(NOW + 3_610));
    for (not_after, verdict) in [(NOW + 60, Verdict::AssertionForgotten), (NOW + 61, Verdict::First)] {
        assert_eq!(record(storage.as_ref(), None, Some(assertion(1, not_after)), NOW).await, verdict);
    }
    let settled = storage.epoch();
    assert_eq!(record(storage.as_ref(), None, Some(assertion(3, NOW + 70)), NOW + 1).await, Verdict::First);
    drop(storage);
    assert_eq!(backend.open(NOW + 1).await.epoch(), settled, "one step back, one epoch");
}

#[tokio::test]
async fn the_first_signing_key_wins() {
    let backend = Backend::new();
    let (one, two) = (backend.open(NOW).await, backend.open(NOW).await);
    assert!(one.signing_keys().await.unwrap().is_empty());
    let key = |kid: &str| SealedKey {
        kid: kid.to_owned(),
        algorithm: Algorithm::Es256,
        sealed: vec![1, 2, 3],
        state: KeyState::Active,
        created_at: at(NOW),
    };
    for storage in [&one, &two] {
        let kept =
            storage.add_first_signing_key(key(if Arc::ptr_eq(storage, &one) { "a" } else { "b" })).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].kid.as_str(), kept[0].sealed.as_slice()), ("a", &[1, 2, 3][..]));
        assert_eq!(
            (kept[0].algorithm, kept[0].state, kept[0].created_at),
            (Algorithm::Es256, KeyState::Active, at(NOW))
        );
    }
}

#[tokio::test]
async fn the_first_secret_of_a_name_wins() {
    let backend = Backend::new();
    let storage = backend.open(NOW).await;
    assert_eq!(storage.keep_secret("a", vec![1]).await.unwrap(), [1]);
    assert_eq!(storage.keep_secret("a", vec![2]).await.unwrap(), [1]);
    assert_eq!(storage.keep_secret("b", vec![2]).await.unwrap(), [2]);
    storage.probe().await.unwrap();
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

#[tokio::test]
async fn changes_an_entry_only_while_it_is_as_it_was_read() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
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

#[tokio::test]
async fn records_and_changes_all_or_nothing() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_changes_at_once_exactly_one_is_made() {
    let backend = Backend::new();
    let (one, two) = (backend.open(NOW - 600).await, backend.open(NOW - 600).await);
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

#[tokio::test]
async fn lists_entries_by_kind_and_owner_page_by_page() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
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

#[tokio::test]
async fn entries_outlive_a_restart_and_are_swept_after_their_end() {
    let backend = Backend::new();
    let storage = backend.open(NOW - 600).await;
    let forever = EntryContent { not_after: Timestamp::MAX, ..content("{}") };
    let changes = [
        Change::Add(EntryKind::Code, EntryId::of("ends"), content("{}")),
        Change::Add(EntryKind::User, EntryId::of("stays"), forever),
    ];
    assert_eq!(change(storage.as_ref(), &changes).await, Verdict::First);
    drop(storage);
    let storage = backend.open(NOW).await;
    found(storage.as_ref(), "ends").await;
    assert_eq!(storage.sweep(at(NOW + 60 + 60)).await.unwrap(), 0);
    assert_eq!(storage.sweep(at(NOW + 60 + 61)).await.unwrap(), 1);
    assert_eq!(storage.find(EntryKind::Code, EntryId::of("ends")).await.unwrap(), None);
    assert!(storage.find(EntryKind::User, EntryId::of("stays")).await.unwrap().is_some());
}
