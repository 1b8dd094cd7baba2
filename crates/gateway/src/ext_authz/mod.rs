//! Answering Envoy, which asks over gRPC for each request whether it may pass
//! (`envoy.service.auth.v3.Authorization/Check`), and now and then whether the gateway is well
//! (`grpc.health.v1.Health/Check`).
//!
//! What is asked about is only what the question's attributes say, and only an Envoy that is trusted may ask. Whatever
//! is wrong is a refusal with a status of its own: an error of gRPC would be Envoy's `failure_mode_allow` to judge,
//! and so is left to those who have no say here.

mod answer;
mod question;

use std::pin::Pin;
use std::sync::OnceLock;

use countersign_resource::Outcome;
use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use ipnet::IpNet;
use tonic::Status;
use tonic::server::{Grpc, UnaryService};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

use self::question::Question;
use crate::admin::missing;
use crate::advice::{Advice, Asked};
use crate::answer::Trouble;
use crate::body::Content;
use crate::door::{About, Door, Story};
use crate::visit::Visit;

const SERVICE: &str = "envoy.service.auth.v3.Authorization";
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// The longest question, in bytes. Envoy takes fields of 60 KiB, and no body is asked for.
const MAX_QUESTION: usize = 256 * 1_024;

/// True for what gRPC can answer: Envoy's questions, and those about health.
pub(crate) fn is_grpc(head: &Parts) -> bool {
    let is_grpc = |value: &[u8]| value.starts_with(b"application/grpc");
    head.version == Version::HTTP_2 && head.headers.get(CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes()))
}

impl Visit<'_> {
    /// Answers what came by gRPC.
    pub(crate) async fn answer_envoy(
        &self,
        request: Request<Incoming>,
        trusted: &[IpNet],
        keep_credentials: bool,
    ) -> (Story, Response<Content>) {
        if let Err(trouble) = self.may_ask(trusted) {
            self.door.metrics.trouble(trouble.code());
            let denied = Status::permission_denied("not a trusted proxy").into_http();
            return (Story::of(trouble.code()), denied.map(Content::Grpc));
        }
        let story = OnceLock::new();
        let response = match request.uri().path() {
            CHECK => {
                let check = Check { visit: self, keep_credentials, story: &story };
                let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_QUESTION);
                grpc.unary(check, request).await
            }
            HEALTH => Grpc::new(ProstCodec::default()).unary(Health { door: self.door }, request).await,
            _ => Status::unimplemented(format!("{SERVICE}/Check is answered here")).into_http(),
        };
        (story.into_inner().unwrap_or(Story::of("grpc")), response.map(Content::Grpc))
    }

    async fn check(&self, request: CheckRequest, keep_credentials: bool) -> (Story, CheckResponse) {
        let question = match Question::read(request, self.site.max_fields) {
            Ok(question) => question,
            Err(trouble) => return self.refuse_by(&trouble),
        };
        let asked = question.asked();
        let (mut story, response) = match self.consult(&asked).await {
            Ok(Some(advice)) => self.advise_envoy(&asked, advice, keep_credentials),
            Ok(None) => (Story::of("open"), answer::observed(asked.headers)),
            Err(trouble) => self.refuse_by(&trouble),
        };
        story.about = Some(About { peer: question.peer, ..asked.about() });
        (story, response)
    }

    fn advise_envoy(&self, asked: &Asked<'_>, advice: Advice, keep_credentials: bool) -> (Story, CheckResponse) {
        let Advice { verdict, identity, mut story } = advice;
        let (status, response) = match &verdict.outcome {
            Outcome::Granted(_) | Outcome::Observed(_) if story.observes => {
                (StatusCode::OK, answer::observed(asked.headers))
            }
            Outcome::Granted(_) | Outcome::Observed(_) => {
                let mut learned = HeaderMap::new();
                verdict.add_fields_to(&mut learned);
                (StatusCode::OK, answer::granted(asked.headers, &identity, &learned, keep_credentials))
            }
            Outcome::Refused(refusal) => {
                let refusal = self.refusal(asked, &verdict, refusal);
                (refusal.status(), answer::refused(&refusal))
            }
        };
        story.told = Some(status);
        (story, response)
    }

    fn refuse_by(&self, trouble: &Trouble) -> (Story, CheckResponse) {
        let refusal = self.own_refusal(trouble, false);
        (Story { told: Some(refusal.status()), ..Story::of(trouble.code()) }, answer::refused(&refusal))
    }
}

/// One question, as a service of gRPC.
struct Check<'a> {
    visit: &'a Visit<'a>,
    keep_credentials: bool,
    story: &'a OnceLock<Story>,
}

impl<'a> UnaryService<CheckRequest> for Check<'a> {
    type Response = CheckResponse;
    type Future = Answering<'a, CheckResponse>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let (visit, keep_credentials, told) = (self.visit, self.keep_credentials, self.story);
        Box::pin(async move {
            let (story, response) = visit.check(request.into_inner(), keep_credentials).await;
            let response = answer::noted(response, &visit.id, story.code);
            let _ = told.set(story);
            Ok(tonic::Response::new(response))
        })
    }
}

/// Whether requests can be judged at present.
struct Health<'a> {
    door: &'a Door,
}

impl<'a> UnaryService<HealthCheckRequest> for Health<'a> {
    type Response = HealthCheckResponse;
    type Future = Answering<'a, HealthCheckResponse>;

    fn call(&mut self, request: tonic::Request<HealthCheckRequest>) -> Self::Future {
        let door = self.door;
        Box::pin(async move {
            if !["", SERVICE].contains(&request.get_ref().service.as_str()) {
                return Err(Status::not_found("there is no such service"));
            }
            let is_ready = missing(door).await.is_empty();
            let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            Ok(tonic::Response::new(HealthCheckResponse { status: status.into() }))
        })
    }
}

type Answering<'a, R> = Pin<Box<dyn Future<Output = Result<tonic::Response<R>, Status>> + Send + 'a>>;
