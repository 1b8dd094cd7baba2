//! Signing for a `reqwest` client that is there already (feature `reqwest-middleware`).

use async_trait::async_trait;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next as NextLayer};

use crate::call::{Next, drop_body_fields};
use crate::client::Client;

/// Signs every request that goes through it: each attempt with a token and a proof of its own, sent again for a nonce
/// where the body can be sent again. It belongs below everything that retries, next to the wire.
///
/// The `reqwest` client under it must not follow redirects: a proof is for one URL. [`DpopMiddleware::into_client`]
/// makes such a one; redirects are followed as [`Client::following_redirects`] says.
///
/// ```no_run
/// # async fn example(client: countersign_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_client::DpopMiddleware;
///
/// let http = DpopMiddleware::new(client).into_client()?;
/// let orders = http.get("https://api.example.com/orders").send().await?.text().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DpopMiddleware {
    client: Client,
}

impl DpopMiddleware {
    /// Signs with `client`.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// A `reqwest` client with nothing but this, that follows no redirects by itself.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn into_client(self) -> Result<ClientWithMiddleware, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .build()?;
        Ok(ClientBuilder::new(client).with(self).build())
    }
}

#[async_trait]
impl Middleware for DpopMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: NextLayer<'_>,
    ) -> Result<Response, Error> {
        let mut signing = self.client.signing(request.method(), request.url().as_str()).map_err(Error::middleware)?;
        let mut fields = request.headers().clone();
        let mut pending = request;
        loop {
            let spare = pending.try_clone();
            signing.attach(pending.headers_mut()).await.map_err(Error::middleware)?;
            let response = next.clone().run(pending, extensions).await?;
            let learned = signing.learn(response.status(), response.headers(), spare.is_some()).await;
            pending = match (learned.map_err(Error::middleware)?, spare) {
                (Next::Again, Some(spare)) => spare,
                (Next::Follow { with_body: true }, Some(spare)) => retargeted(spare, signing.method(), signing.url())?,
                (Next::Follow { with_body: false }, _) => {
                    drop_body_fields(&mut fields);
                    let url = signing.url().parse().map_err(Error::middleware)?;
                    let mut bare = Request::new(signing.method().clone(), url);
                    bare.headers_mut().clone_from(&fields);
                    bare
                }
                (Next::Done | Next::Again | Next::Follow { with_body: true }, _) => return Ok(response),
            };
        }
    }
}

fn retargeted(mut request: Request, method: &http::Method, url: &str) -> Result<Request, Error> {
    method.clone_into(request.method_mut());
    *request.url_mut() = url.parse().map_err(Error::middleware)?;
    Ok(request)
}
