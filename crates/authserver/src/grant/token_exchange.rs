//! Token exchange (RFC 8693): from a token another for the same subject, with no more scope, time or audience. With one
//! of ours it narrows; with one of a trusted issuer it is the upgrade, from a Bearer token to a bound one.

use super::subject_token::SubjectToken;
use super::{GrantContext, GrantType, Issue};
use crate::access_token::{Actor, TokenAnswer};
use crate::error::{GrantError, Refusal, SubjectError};
use crate::foreign_token::{ForeignToken, peek_issuer};
use crate::resource::{Resource, TokenFormat};

/// `subject_token_type` and the like (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(crate) async fn redeem(context: GrantContext<'_>) -> Result<TokenAnswer, Refusal> {
    context.admit(GrantType::TokenExchange)?;
    let subject = context.subject_token().await?;
    subject.confirm(context.proof.as_ref()).map_err(Refusal::Exchange)?;
    // What comes from elsewhere leaves bound, whatever it was.
    if subject.limit.is_some() && context.proof.is_none() {
        return Err(Refusal::Exchange(SubjectError::ProofRequired));
    }
    let resource = context.exchange_target(&subject)?;
    context.check_requested_type(resource)?;
    let allowed = subject.scope.shared_with(&context.client().scopes);
    let scope = context.scope(&allowed, resource)?;
    let actor = context.actor(&subject).await?;
    let accepted = context.commit_use(&subject, Refusal::Exchange).await?;
    let mut answer = accepted.issue(&Issue {
        subject: &subject.subject,
        resource,
        scope: &scope,
        actor: actor.as_ref(),
        ends_by: Some(subject.ends_at),
    })?;
    answer.issued_token_type = Some(ACCESS_TOKEN);
    Ok(answer)
}

impl<'a> GrantContext<'a> {
    async fn subject_token(&self) -> Result<SubjectToken, Refusal> {
        let token = self.form.required("subject_token")?;
        let refuse = |fault| Err(Refusal::Exchange(fault));
        if ![ACCESS_TOKEN, JWT].contains(&self.form.required("subject_token_type")?) {
            return refuse(SubjectError::TypeUnknown);
        }
        match peek_issuer(token) {
            Some(issuer) if issuer != self.server.settings.issuer.as_str() => {
                let read = ForeignToken::read(self.server, token, &self.client().id, self.now).await;
                Ok(SubjectToken::foreign(read.map_err(Refusal::Exchange)?))
            }
            Some(_) | None => SubjectToken::own(self.server, token, self.now).await,
        }
    }

    /// The resource that is named by `resource` or `audience`; without a name the one that the token is for.
    fn exchange_target(&self, subject: &SubjectToken) -> Result<&'a Resource, GrantError> {
        let mut named: Vec<&str> = self.form.all("resource").chain(self.form.all("audience")).collect();
        named.dedup();
        let name = match (named.as_slice(), subject.resources.as_slice()) {
            ([name], _) => *name,
            ([], [only]) => only,
            ([], _) => return Err(GrantError::ResourceNotNamed),
            ([_, ..], _) => return Err(GrantError::SeveralResources),
        };
        let resource = self.server.settings.resources.iter().find(|resource| resource.identifier == name);
        let resource = resource.ok_or(GrantError::ResourceUnknown)?;
        let is_within = subject.resources.iter().any(|own| own == name)
            || (subject.limit.is_none() && self.client().exchange_resources.iter().any(|other| other == name));
        if is_within { Ok(resource) } else { Err(GrantError::ResourceBeyondToken) }
    }

    fn check_requested_type(&self, resource: &Resource) -> Result<(), Refusal> {
        match (self.form.get("requested_token_type"), resource.token_format) {
            (None | Some(ACCESS_TOKEN), _) | (Some(JWT), TokenFormat::Jwt) => Ok(()),
            (Some(_), _) => Err(Refusal::Exchange(SubjectError::TypeUnknown)),
        }
    }

    /// Who will act for the subject: the one that `actor_token` names, else the client, unless the token is its own.
    async fn actor(&self, subject: &SubjectToken) -> Result<Option<Actor>, Refusal> {
        let before = subject.actor.clone().map(Box::new);
        let sub = match (self.form.get("actor_token"), self.form.get("actor_token_type")) {
            (Some(token), Some(ACCESS_TOKEN | JWT)) => self.actor_token(token).await?,
            (Some(_), _) => return Err(Refusal::Exchange(SubjectError::TypeUnknown)),
            (None, Some(_)) => return Err(Refusal::Exchange(SubjectError::ActorTokenMissing)),
            (None, None) if subject.client_id.as_deref() == Some(&self.client().id) => {
                return Ok(subject.actor.clone());
            }
            (None, None) if subject.limit.is_some() => return Ok(None),
            (None, None) => self.client().id.clone(),
        };
        let actor = Actor { sub, act: before };
        if actor.depth() > Actor::MAX_DEPTH {
            return Err(Refusal::Exchange(SubjectError::ActorsTooDeep));
        }
        Ok(Some(actor))
    }

    /// The subject of a token of ours that the client itself was given.
    async fn actor_token(&self, token: &str) -> Result<String, Refusal> {
        let actor = SubjectToken::own(self.server, token, self.now).await?;
        actor.confirm(self.proof.as_ref()).map_err(Refusal::Exchange)?;
        if actor.client_id.as_deref() != Some(&self.client().id) {
            return Err(Refusal::Exchange(SubjectError::ActorTokenOfAnother));
        }
        Ok(actor.subject)
    }
}

impl Actor {
    /// The longest chain of actors.
    const MAX_DEPTH: usize = 8;

    fn depth(&self) -> usize {
        std::iter::successors(Some(self), |actor| actor.act.as_deref()).take(Self::MAX_DEPTH + 1).count()
    }
}
