//! Approvals in bulk, for measuring a server that has many.

use countersign_dpop::jose::{Jkt, encode_base64url};
use countersign_dpop::time::Timestamp;
use zeroize::Zeroizing;

use crate::approval::Approval;
use crate::grant::refresh::RefreshToken;
use crate::scope::Scope;
use crate::server::AuthServer;
use crate::storage::{self, Change, EntryId, SingleUse, StorageError, Verdict};

/// What approvals are made of.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct BulkApprovals {
    /// A registered client.
    pub client_id: String,
    /// A registered resource.
    pub resource: String,
    /// The key that refreshes have to prove.
    pub jkt: Jkt,
    /// How many.
    pub count: usize,
    /// How many refresh tokens to return. Every approval has at least one.
    pub tokens: usize,
}

impl AuthServer {
    /// Makes approvals that nobody has given, with refresh tokens. Whoever can call this holds the server's keys anyway.
    ///
    /// They are written in the order that the database keeps them in: a million in any other would have it write most
    /// of its pages again and again. `progress` is told how many entries there are.
    ///
    /// # Errors
    /// When the storage fails.
    #[doc(hidden)]
    pub async fn approve_in_bulk(
        &self,
        bulk: &BulkApprovals,
        mut progress: impl FnMut(usize) + Send,
    ) -> Result<Vec<Zeroizing<String>>, StorageError> {
        let names = draw::<16>(bulk.count)?;
        let secrets = draw::<32>(bulk.count.max(bulk.tokens))?;
        let maker = Maker { bulk, names: &names, secrets: &secrets, now: self.shared.clock.now() };
        let grants = in_order(&names).into_iter().enumerate().map(|(place, drawn)| maker.approval(place, drawn));
        let tokens = in_order(&secrets).into_iter().map(|drawn| maker.refresh_token(drawn));
        let mut changes = Vec::with_capacity(TOGETHER);
        let mut written = 0;
        for change in grants.chain(tokens) {
            changes.push(change?);
            if changes.len() == TOGETHER {
                written += self.write(&mut changes, maker.now).await?;
                progress(written);
            }
        }
        written += self.write(&mut changes, maker.now).await?;
        progress(written);
        Ok((0..bulk.tokens).map(|drawn| maker.secret(drawn)).collect())
    }

    async fn write(&self, changes: &mut Vec<Change>, now: Timestamp) -> Result<usize, StorageError> {
        let written = self.shared.storage.commit(&SingleUse::default(), changes, now).await?;
        let count = changes.len();
        changes.clear();
        if written == Verdict::First { Ok(count) } else { Err(unavailable("an entry was there already")) }
    }
}

/// How many changes are committed together: what a slow machine does in a second.
const TOGETHER: usize = 4_000;

/// Makes entries of what was drawn.
struct Maker<'a> {
    bulk: &'a BulkApprovals,
    names: &'a [[u8; 16]],
    secrets: &'a [[u8; 32]],
    now: Timestamp,
}

impl Maker<'_> {
    fn approval(&self, place: usize, drawn: usize) -> Result<Change, StorageError> {
        let approval = self.approval_named(place, encode_base64url(self.names[drawn]));
        storage::add(&approval.id, &approval)
    }

    fn refresh_token(&self, drawn: usize) -> Result<Change, StorageError> {
        let approval = self.approval_named(0, encode_base64url(self.names[drawn % self.names.len()]));
        storage::add(&self.secret(drawn), &RefreshToken::of_bulk(&approval, self.bulk.jkt, self.now))
    }

    fn secret(&self, drawn: usize) -> Zeroizing<String> {
        Zeroizing::new(encode_base64url(self.secrets[drawn]))
    }

    /// A hundred for each user.
    fn approval_named(&self, place: usize, id: String) -> Approval {
        Approval {
            id,
            subject: format!("user-{:07}", place / 100),
            client_id: self.bulk.client_id.clone(),
            scope: Scope::default(),
            resources: vec![self.bulk.resource.clone()],
            authorization_details: None,
            jkt: Some(self.bulk.jkt),
            approved_at: self.now,
            until: self.now.plus(86_400),
            ended: None,
        }
    }
}

/// Random bytes.
fn draw<const N: usize>(count: usize) -> Result<Vec<[u8; N]>, StorageError> {
    let mut drawn = vec![[0; N]; count];
    aws_lc_rs::rand::fill(drawn.as_flattened_mut()).map_err(|_| unavailable("no random bytes"))?;
    Ok(drawn)
}

/// The places of what was drawn, in the order that entries by these names are kept in.
fn in_order<const N: usize>(drawn: &[[u8; N]]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..drawn.len()).collect();
    places.sort_by_cached_key(|place| *EntryId::of(&encode_base64url(drawn[*place])).as_bytes());
    places
}

fn unavailable(reason: &str) -> StorageError {
    StorageError::Unavailable { reason: reason.to_owned() }
}
