//! Grants: one file each. A grant decides what may be issued, has the storage record and consume in one transaction,
//! and issues.

pub(crate) mod authorization_code;
pub(crate) mod client_credentials;
pub(crate) mod device;
pub(crate) mod jwt_bearer;
pub(crate) mod refresh;
mod subject_token;
pub(crate) mod token_exchange;

use countersign_dpop::time::Timestamp;
use countersign_dpop::{CheckedProof, Rejection, VerifiedProof};

use self::subject_token::SubjectToken;
use crate::access_token::{AccessToken, Actor, TokenAnswer};
use crate::approval::Approval;
use crate::authentication::AuthenticatedClient;
use crate::client::Client;
use crate::error::{GrantError, Refusal, SubjectError};
use crate::form::Form;
use crate::resource::Resource;
use crate::scope::Scope;
use crate::server::{MAX_ATTEMPTS, Shared};
use crate::storage::{Change, StorageError, Verdict};

/// The grants of this server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GrantType {
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// RFC 8628 §3.4.
    DeviceCode,
    /// RFC 7523 §2.1.
    JwtBearer,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 8693.
    TokenExchange,
}

impl GrantType {
    pub(crate) const ALL: &'static [Self] = &[
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::TokenExchange,
        Self::JwtBearer,
        Self::DeviceCode,
    ];

    /// The value of `grant_type`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::RefreshToken => "refresh_token",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|grant| grant.name() == name)
    }
}

/// A token request whose form, proof and client are known to be good; nothing has been recorded yet.
pub(crate) struct GrantContext<'a> {
    pub(crate) server: &'a Shared,
    pub(crate) form: &'a Form,
    pub(crate) client: &'a AuthenticatedClient,
    pub(crate) proof: Option<CheckedProof>,
    pub(crate) now: Timestamp,
}

impl<'a> GrantContext<'a> {
    pub(crate) fn client(&self) -> &'a Client {
        &self.client.client
    }

    /// Refuses a client that is not registered for `grant`, and one that gets bound tokens only and sent no proof.
    fn admit(&self, grant: GrantType) -> Result<(), Refusal> {
        if !self.client().grants.contains(&grant) {
            return Err(GrantError::ClientNotRegisteredForGrant.into());
        }
        if self.client().bound_tokens_only && self.proof.is_none() {
            return Err(GrantError::ProofRequired.into());
        }
        Ok(())
    }

    /// The resource that the request names, or the only one there is (RFC 8707 §2).
    fn target(&self) -> Result<&'a Resource, GrantError> {
        let resources = &self.server.settings.resources;
        let mut named = self.form.all("resource");
        match (named.next(), named.next(), resources.as_slice()) {
            (Some(_), Some(_), _) => Err(GrantError::SeveralResources),
            (Some(name), None, _) => {
                resources.iter().find(|resource| resource.identifier == name).ok_or(GrantError::ResourceUnknown)
            }
            (None, _, [only]) => Ok(only),
            (None, _, _) => Err(GrantError::ResourceNotNamed),
        }
    }

    /// The scope to issue: what is asked for, if `allowed` and the resource have it, else all that they share.
    fn scope(&self, allowed: &Scope, resource: &Resource) -> Result<Scope, GrantError> {
        let available = allowed.shared_with(&resource.scopes);
        let Some(asked) = self.form.get("scope") else { return Ok(available) };
        let asked = Scope::parse(asked).map_err(|_| GrantError::ScopeMalformed)?;
        if asked.is_subset_of(&available) { Ok(asked) } else { Err(GrantError::ScopeNotAllowed) }
    }

    /// The resource that the request names among those that were approved, or the only one of them.
    fn target_among(&self, approved: &[String]) -> Result<&'a Resource, GrantError> {
        let mut named = self.form.all("resource");
        let name = match (named.next(), named.next(), approved) {
            (Some(_), Some(_), _) => return Err(GrantError::SeveralResources),
            (Some(name), None, _) if approved.iter().any(|own| own == name) => name,
            (Some(_), None, _) => return Err(GrantError::ResourceNotApproved),
            (None, _, [only]) => only.as_str(),
            (None, _, _) => return Err(GrantError::ResourceNotNamed),
        };
        let resources = &self.server.settings.resources;
        resources.iter().find(|resource| resource.identifier == name).ok_or(GrantError::ResourceUnknown)
    }

    /// Records what may be used once; the last thing that can refuse a request which needs nothing else from the
    /// storage.
    async fn record(self) -> Result<Accepted<'a>, Refusal> {
        let proof = self.server.commit(self.client, self.proof, &[], self.now).await?;
        Ok(Accepted { server: self.server, client: &self.client.client, proof, now: self.now })
    }

    /// Records what may be used once and one more use of `subject`, if one more is allowed.
    async fn commit_use(
        self,
        subject: &SubjectToken,
        refuse: fn(SubjectError) -> Refusal,
    ) -> Result<Accepted<'a>, Refusal> {
        let Some(limit) = subject.limit else { return self.record().await };
        let context = &self;
        settle(|| async move {
            let (client_id, proof) = (&context.client().id, context.proof.as_ref());
            let noted = limit.note(context.server, client_id, proof, subject.ends_at, context.now).await?;
            context.try_commit(&[noted.map_err(refuse)?]).await
        })
        .await
    }

    /// Records what may be used once and makes `changes`: the last thing that can refuse a request. `None` when an
    /// entry is not as it was read.
    async fn try_commit(&self, changes: &[Change]) -> Result<Option<Accepted<'a>>, Refusal> {
        let verdict = self.server.try_commit(self.client, self.proof.as_ref(), changes, self.now).await?;
        if verdict == Verdict::Conflict {
            return Ok(None);
        }
        let recorded = self.server.judge(verdict)?;
        let proof = self.proof.clone().map(|proof| proof.accept(recorded)).transpose()?;
        Ok(Some(Accepted { server: self.server, client: &self.client.client, proof, now: self.now }))
    }
}

/// Reads, decides and commits by `trial`, and does so anew as long as it says `None`: what it read has changed meanwhile,
/// and nothing has been recorded.
async fn settle<T, F>(trial: impl Fn() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<Option<T>, Refusal>>,
{
    for _ in 0..MAX_ATTEMPTS {
        if let Some(settled) = trial().await? {
            return Ok(settled);
        }
    }
    Err(StorageError::Unavailable { reason: "others change the same thing all the time".to_owned() }.into())
}

/// A token request that was recorded: nothing refuses it any more.
pub(crate) struct Accepted<'a> {
    server: &'a Shared,
    client: &'a Client,
    proof: Option<VerifiedProof>,
    now: Timestamp,
}

impl Accepted<'_> {
    /// Issues an access token, bound when there is a proof.
    fn issue(&self, issue: &Issue<'_>) -> Result<TokenAnswer, Refusal> {
        self.issue_in(issue, None)
    }

    /// Issues an access token by an approval, with which it ends.
    fn issue_by(&self, approval: &Approval, resource: &Resource, scope: &Scope) -> Result<TokenAnswer, Refusal> {
        let issue = Issue { subject: &approval.subject, resource, scope, actor: None, ends_by: None };
        self.issue_in(&issue, Some(approval))
    }

    fn issue_in(&self, issue: &Issue<'_>, approval: Option<&Approval>) -> Result<TokenAnswer, Refusal> {
        let token = AccessToken {
            issuer: self.server.settings.issuer.as_str(),
            subject: issue.subject,
            client_id: &self.client.id,
            resource: issue.resource,
            scope: issue.scope,
            jkt: self.proof.as_ref().map(VerifiedProof::jkt),
            actor: issue.actor,
            issued_at: self.now,
            ends_by: issue.ends_by,
            grant_id: approval.map(|approval| approval.id.as_str()),
            authorization_details: approval.and_then(|approval| approval.authorization_details.as_ref()),
        };
        Ok(token.issue(&self.server.keys.current(), &self.server.seal)?)
    }
}

/// What is to be issued.
struct Issue<'a> {
    subject: &'a str,
    resource: &'a Resource,
    scope: &'a Scope,
    actor: Option<&'a Actor>,
    /// When it ends, if that is before its time.
    ends_by: Option<Timestamp>,
}

/// The proof's own refusals come as they are.
impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Proof(rejection)
    }
}
