//! Whoever looks at a page: the session, if there is one, and the proof that a form comes from our own page.

use countersign_dpop::NoRandomness;
use countersign_dpop::time::Timestamp;
use http::{HeaderMap, HeaderValue, header};

use super::page::PageError;
use super::session::{self, Cookie, Session};
use crate::form::Form;
use crate::random::random_id;
use crate::server::Shared;
use crate::storage::StorageError;

/// A browser and who is signed in there.
#[derive(Debug)]
pub(crate) struct Visitor {
    session: Option<(Session, String)>,
    /// The random number of this browser, and whether it is new there.
    visit: (String, bool),
}

impl Visitor {
    /// Reads the cookies of a request.
    pub(crate) async fn read(server: &Shared, headers: &HeaderMap, now: Timestamp) -> Result<Self, PageError> {
        let issuer = &server.settings.issuer;
        let mut session = None;
        if let Some(value) = Cookie::Session.find(issuer, headers) {
            session = session::find(server, &value, now).await?.map(|session| (session, value));
        }
        let known = Cookie::Visit.find(issuer, headers).filter(|value| value.len() == 22);
        let visit = match known {
            Some(value) => (value, false),
            None => (random_id()?, true),
        };
        Ok(Self { session, visit })
    }

    /// Who is signed in.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_ref().map(|(session, _)| session)
    }

    /// What a form has to carry so that it is known to come from the page at `target`, in this browser.
    pub(crate) fn form_token(&self, server: &Shared, target: &str) -> String {
        server.people.authenticate("form", &[self.binding(), target])
    }

    /// Refuses a form that does not come from the page at `target` in this browser.
    pub(crate) fn check_form(
        &self,
        server: &Shared,
        headers: &HeaderMap,
        form: &Form,
        target: &str,
    ) -> Result<(), PageError> {
        let token = form.get("token").unwrap_or_default();
        let is_own = server.people.is_authentic("form", &[self.binding(), target], token);
        if is_own && comes_from_here(server, headers) { Ok(()) } else { Err(PageError::Forged) }
    }

    /// The field that sets this browser's number, if it is new.
    pub(crate) fn cookie(&self, server: &Shared) -> Option<HeaderValue> {
        let (value, is_new) = &self.visit;
        is_new.then(|| Cookie::Visit.set(&server.settings.issuer, Some(value))).flatten()
    }

    fn binding(&self) -> &str {
        self.session.as_ref().map_or(&self.visit.0, |(_, cookie)| cookie)
    }
}

/// What browsers say of where a request comes from, where they say it.
fn comes_from_here(server: &Shared, headers: &HeaderMap) -> bool {
    let only = |name: header::HeaderName| {
        let mut fields = headers.get_all(name).iter();
        (fields.next(), fields.next())
    };
    let origin_fits = match only(header::ORIGIN) {
        (None, _) => true,
        (Some(origin), None) => origin.as_bytes() == server.settings.issuer.origin().as_bytes(),
        (Some(_), Some(_)) => false,
    };
    let site_fits = match only(header::HeaderName::from_static("sec-fetch-site")) {
        (None, _) => true,
        (Some(site), None) => site == "same-origin",
        (Some(_), Some(_)) => false,
    };
    origin_fits && site_fits
}

impl From<StorageError> for PageError {
    fn from(error: StorageError) -> Self {
        Self::Away(error.to_string())
    }
}

impl From<NoRandomness> for PageError {
    fn from(error: NoRandomness) -> Self {
        Self::Away(error.to_string())
    }
}
