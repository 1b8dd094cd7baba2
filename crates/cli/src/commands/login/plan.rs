//! From flags to a plan.

use countersign_client::config::Authentication;
use countersign_client::keys::KeyPlace;
use countersign_client::login::{ClientChoice, LoginPlan};

use crate::commands::login::LoginCommand;
use crate::error::CommandError;

impl LoginCommand {
    /// What to log in to, and as whom.
    pub(super) fn plan(&self, store: KeyPlace) -> Result<LoginPlan, CommandError> {
        if store == KeyPlace::Memory {
            return Err(CommandError::configuration("a key in memory would be gone when this command ends")
                .with_hint("--keys memory is for the agent and for run; use file, secret-service or pkcs11 here"));
        }
        let url = self.url.as_deref().unwrap_or_default();
        Ok(LoginPlan {
            issuer: self.issuer.clone(),
            client: self.choice(),
            scope: self.scope.clone(),
            label: self.label.clone(),
            algorithm: self.alg,
            allow_bearer: self.allow_bearer,
            assume_dpop: self.assume_dpop,
            ..LoginPlan::new(url, store)
        })
    }

    fn choice(&self) -> ClientChoice {
        match (&self.client_id, &self.client_metadata) {
            (Some(client_id), _) => {
                ClientChoice::Registered { client_id: client_id.clone(), authentication: Authentication::None }
            }
            (None, Some(url)) => ClientChoice::MetadataDocument(url.clone()),
            (None, None) => ClientChoice::Dynamic { name: "Countersign".to_owned() },
        }
    }
}
