//! A web of the tests' own: documents by their URL, and a record of what was asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use countersign_authserver::fetch::{Fetch, FetchError, FetchRequest, Fetched, Fetching, Reach};

#[derive(Debug, Default)]
pub(crate) struct FakeWeb {
    documents: Mutex<HashMap<String, Result<Fetched, FetchError>>>,
    asked: Mutex<Vec<(String, Reach)>>,
}

impl FakeWeb {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Has `body` found at `url`, as JSON.
    pub(crate) fn publish(&self, url: &str, body: &str) {
        let media_type = Some("application/json".to_owned());
        self.answer(url, Ok(Fetched { status: 200, media_type, body: body.as_bytes().to_vec() }));
    }

    pub(crate) fn answer(&self, url: &str, answer: Result<Fetched, FetchError>) {
        self.documents.lock().unwrap().insert(url.to_owned(), answer);
    }

    /// What was asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<(String, Reach)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Fetch for FakeWeb {
    fn fetch(&self, request: FetchRequest) -> Fetching<'_> {
        let url = request.url.as_str().to_owned();
        self.asked.lock().unwrap().push((url.clone(), request.reach));
        let away = Err(FetchError::Failed { reason: "nobody there".to_owned() });
        let answer = self.documents.lock().unwrap().get(&url).cloned().unwrap_or(away);
        Box::pin(async move { answer })
    }
}
