//! The stable name of every refusal, for logs and metrics. Names never change their meaning.

use super::{GrantError, IssueError, Refusal};
use crate::authentication::{AssertionError, ClientError};
use crate::form::FormError;
use crate::operation::Limited;
use crate::signed_jwt::SignedJwtError;
use crate::storage::StorageError;

impl Refusal {
    /// The refusal's name, in lower case with underscores: the same in every log line and metric.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Form(error) => form_name(*error),
            Self::Proof(rejection) => rejection.name(),
            Self::Client(error) => client_name(error),
            Self::Authorization(error) => error.name(),
            Self::Grant(error) => grant_name(*error),
            Self::Exchange(error) | Self::Assertion(error) => error.name(),
            Self::Limited(Limited::Source) => "source_limited",
            Self::Limited(Limited::Client) => "client_limited",
            Self::Storage(StorageError::Unavailable { .. }) => "storage_unavailable",
            Self::Issue(error) => match error {
                IssueError::NoRandomness(_) => "no_randomness",
                IssueError::Seal(_) => "sealing_failed",
                IssueError::Sign(_) => "signing_failed",
                IssueError::Write(_) => "token_not_written",
            },
        }
    }
}

const fn form_name(error: FormError) -> &'static str {
    match error {
        FormError::MediaType => "form_media_type",
        FormError::TooLong => "form_too_long",
        FormError::Incomplete => "form_incomplete",
        FormError::Encoding => "form_encoding",
        FormError::TooManyParameters => "form_too_many_parameters",
        FormError::ParameterRepeated => "parameter_repeated",
        FormError::Missing(_) => "parameter_missing",
    }
}

const fn client_name(error: &ClientError) -> &'static str {
    match error {
        ClientError::Missing => "no_client_authentication",
        ClientError::SeveralMethods => "several_client_authentications",
        ClientError::AuthorizationRepeated => "authorization_repeated",
        ClientError::SchemeUnknown => "authorization_scheme_unknown",
        ClientError::BasicMalformed => "basic_malformed",
        ClientError::AssertionIncomplete => "assertion_incomplete",
        ClientError::AssertionTypeUnknown => "assertion_type_unknown",
        ClientError::ClientUnknown { .. } => "client_unknown",
        ClientError::MethodNotRegistered { .. } => "client_method_not_registered",
        ClientError::ClientIdMismatch => "client_id_mismatch",
        ClientError::SecretWrong { .. } => "client_secret_wrong",
        ClientError::Public => "client_is_public",
        ClientError::KeysAway(_) => "client_keys_away",
        ClientError::Assertion(error) => assertion_name(error),
    }
}

const fn assertion_name(error: &AssertionError) -> &'static str {
    match error {
        AssertionError::Jwt(SignedJwtError::Jws(_) | SignedJwtError::Json(_)) => "assertion_malformed",
        AssertionError::Jwt(SignedJwtError::TypMismatch) => "assertion_typ_mismatch",
        AssertionError::Jwt(SignedJwtError::AlgNotAccepted) => "assertion_alg_not_accepted",
        AssertionError::Jwt(SignedJwtError::CritNotUnderstood) => "assertion_crit",
        AssertionError::SubjectMismatch => "assertion_subject_mismatch",
        AssertionError::AudienceMismatch => "assertion_audience_mismatch",
        AssertionError::Expired { .. } => "assertion_expired",
        AssertionError::TooLong { .. } => "assertion_lives_too_long",
        AssertionError::FromFuture { .. } => "assertion_from_future",
        AssertionError::JtiLength => "assertion_jti_length",
        AssertionError::KeyUnknown => "assertion_key_unknown",
        AssertionError::BadSignature => "assertion_bad_signature",
        AssertionError::Replayed => "assertion_replayed",
        AssertionError::Forgotten => "assertion_forgotten",
    }
}

const fn grant_name(error: GrantError) -> &'static str {
    match error {
        GrantError::ApprovalEnded => "approval_ended",
        GrantError::CodeReused => "code_reused",
        GrantError::CodeExpired => "code_expired",
        GrantError::CodeOfAnotherClient => "code_of_another_client",
        GrantError::CodeUnknown => "code_unknown",
        GrantError::RedirectUriMismatch => "redirect_uri_mismatch",
        GrantError::VerifierMissing => "code_verifier_missing",
        GrantError::VerifierWrong => "code_verifier_wrong",
        GrantError::RefreshExpired => "refresh_token_expired",
        GrantError::RefreshOfAnotherClient => "refresh_token_of_another_client",
        GrantError::RefreshReused => "refresh_token_reused",
        GrantError::RefreshUnknown => "refresh_token_unknown",
        GrantError::ResourceNotApproved => "resource_not_approved",
        GrantError::ClientNotRegisteredForGrant => "grant_not_registered",
        GrantError::GrantTypeUnknown => "grant_type_unknown",
        GrantError::DeviceOfAnotherClient => "device_code_of_another_client",
        GrantError::DeviceUnknown => "device_code_unknown",
        GrantError::DeviceRedeemed => "device_code_redeemed",
        GrantError::DeviceDenied => "device_denied",
        GrantError::DeviceExpired => "device_code_expired",
        GrantError::DevicePending => "device_pending",
        GrantError::DeviceSlowDown => "device_slow_down",
        GrantError::ProofRequired => "proof_required",
        GrantError::ResourceNotNamed => "resource_not_named",
        GrantError::ResourceBeyondToken => "resource_beyond_token",
        GrantError::ResourceUnknown => "resource_unknown",
        GrantError::ScopeMalformed => "scope_malformed",
        GrantError::ScopeNotAllowed => "scope_not_allowed",
        GrantError::SeveralResources => "several_resources",
    }
}
