//! JWT assertions as grants (RFC 7523 §2.1): a workload that has a token of a trusted issuer, from its platform say, and
//! nothing else, gets an access token for what its client is registered for.

use super::subject_token::SubjectToken;
use super::{GrantContext, GrantType, Issue};
use crate::access_token::TokenAnswer;
use crate::error::{GrantError, Refusal, SubjectError};
use crate::foreign_token::ForeignToken;
use crate::resource::Resource;

pub(crate) async fn redeem(context: GrantContext<'_>) -> Result<TokenAnswer, Refusal> {
    context.admit(GrantType::JwtBearer)?;
    let assertion = context.form.required("assertion")?;
    let read = ForeignToken::read(context.server, assertion, &context.client().id, context.now).await;
    let token = read.map_err(Refusal::Assertion)?;
    // An access token is exchanged, and then worth what it says.
    if token.is_access_token {
        return Err(Refusal::Assertion(SubjectError::TypMismatch));
    }
    let says_scope = token.scope.is_some();
    let subject = SubjectToken::foreign(token);
    subject.confirm(context.proof.as_ref()).map_err(Refusal::Assertion)?;
    let resource = context.bearer_target(&subject)?;
    // Most such tokens say who somebody is and not what they may; that is what the client is registered for.
    let registered = &context.client().scopes;
    let allowed = if says_scope { subject.scope.shared_with(registered) } else { registered.clone() };
    let scope = context.scope(&allowed, resource)?;
    let accepted = context.commit_use(&subject, Refusal::Assertion).await?;
    accepted.issue(&Issue {
        subject: &subject.subject,
        resource,
        scope: &scope,
        actor: None,
        ends_by: Some(subject.ends_at),
    })
}

impl<'a> GrantContext<'a> {
    /// The resource that the request names, of those that the issuer's tokens are good for.
    fn bearer_target(&self, subject: &SubjectToken) -> Result<&'a Resource, GrantError> {
        let name = match (self.form.get("resource"), subject.resources.as_slice()) {
            (None, [only]) => self.server.settings.resources.iter().find(|resource| resource.identifier == *only),
            _ => Some(self.target()?),
        };
        let resource = name.ok_or(GrantError::ResourceUnknown)?;
        let is_within = subject.resources.contains(&resource.identifier);
        if is_within { Ok(resource) } else { Err(GrantError::ResourceBeyondToken) }
    }
}
