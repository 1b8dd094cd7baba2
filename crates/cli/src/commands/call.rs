//! `countersign call`: one request with token and proof, printed as curl would.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use countersign_client::config::ConfigError;
use countersign_client::{
    CallError, Client, ClientConfig, NonceError, RequestBody, ResponseBody, Server, Step, TokenError,
};
use countersign_dpop::time::SystemClock;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::BodyExt;

use crate::error::CommandError;
use crate::input::{self, StandardInput};
use crate::keys::{self, Sealing};
use crate::render::{self, DIM, styled};
use crate::sessions::{self, Which, token_error};

/// Calls an API with a bound token and a fresh proof, and prints the answer
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign call GET https://api.example.com/orders\n  countersign call --config client.toml GET \
https://api.example.com/orders\n  \
countersign call --config client.toml POST https://api.example.com/orders \\\n    -H 'Content-Type: application/json' \
--data '{\"item\":\"tea\"}'\n  countersign call --config client.toml PUT https://api.example.com/film --data @film.mkv\n\n\
Exit code 0 for an answer below 400, 1 for a refusal, 2 when there is no answer."
)]
pub(crate) struct CallCommand {
    /// Method, sent exactly as written
    method: Method,
    /// URL to call
    url: Uri,
    /// File that describes the client; countersign up writes one [default: the session of countersign login]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CLIENT", conflicts_with = "session")]
    config: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
    /// Body; @FILE sends a file, @- standard input
    #[arg(long, short, value_name = "DATA")]
    data: Option<String>,
    /// Header field to send; may be given more than once
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Follow redirects on the same origin, each signed anew
    #[arg(long, short = 'L')]
    location: bool,
    /// Print status and header fields before the body
    #[arg(long, short)]
    include: bool,
    /// Say on stderr what happens, step by step, without secrets
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    sealing: Sealing,
}

impl CallCommand {
    /// Calls, and prints the answer.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let client = self.client()?;
        let request = self.request().await?;
        let url = self.url.to_string();
        let answer = client.call(request).await.map_err(|fault| no_answer(fault, &url))?;
        let code = if answer.status().as_u16() < 400 { ExitCode::SUCCESS } else { ExitCode::from(1) };
        self.print(answer).await?;
        Ok(code)
    }

    fn client(&self) -> Result<Client, CommandError> {
        let client = if let Some(file) = &self.config {
            self.client_of_file(file)?
        } else {
            let store = self.which.store()?;
            let session = self.which.find(&store, Some(&self.url.to_string()))?;
            sessions::client(&session, store, &self.sealing)?
        };
        let client = if self.location { client.following_redirects(MAX_REDIRECTS) } else { client };
        Ok(if self.verbose { client.with_observer(tell) } else { client })
    }

    fn client_of_file(&self, file: &Path) -> Result<Client, CommandError> {
        let text = input::read_private_text(file, "the client's configuration")?;
        let directory = file.parent().unwrap_or(Path::new("."));
        let config = ClientConfig::parse(&text, directory).map_err(|fault| wrong_config(file, &fault))?;
        let store = keys::open(&config.keys().store, self.sealing.passphrase_for_kept_key()?)?;
        Client::open(&config, store.as_ref(), Arc::new(SystemClock)).map_err(CommandError::configuration)
    }

    async fn request(&self) -> Result<Request<RequestBody>, CommandError> {
        let fields: Vec<_> = self.headers.iter().map(|text| field(text)).collect::<Result<_, _>>()?;
        let mut request = Request::new(self.body().await?);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        for (name, value) in fields {
            request.headers_mut().append(name, value);
        }
        let json = self.data.as_ref().is_some_and(|data| data.starts_with(['{', '[']));
        if json && !request.headers().contains_key(header::CONTENT_TYPE) {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }

    async fn body(&self) -> Result<RequestBody, CommandError> {
        let Some(data) = &self.data else { return Ok(RequestBody::empty()) };
        let Some(file) = data.strip_prefix('@') else { return Ok(RequestBody::from(data.clone())) };
        if file == "-" {
            let unreadable = |fault| CommandError::configuration(format!("cannot read standard input: {fault}"));
            return Ok(match input::standard_input().await.map_err(unreadable)? {
                StandardInput::Whole(bytes) => RequestBody::from(bytes),
                StandardInput::Long(body) => RequestBody::stream(body),
            });
        }
        RequestBody::file(file.into())
            .map_err(|fault| CommandError::configuration(format!("cannot read {file}: {fault}")))
    }

    async fn print(&self, answer: Response<ResponseBody>) -> Result<(), CommandError> {
        let (head, mut body) = answer.into_parts();
        if self.include {
            print_head(&head);
        }
        let failed = |fault| CommandError::internal(format!("the answer broke off: {fault}"));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(failed)?.into_data() else { continue };
            if !write(&data)? {
                break;
            }
        }
        Ok(())
    }
}

/// How many redirects are followed.
const MAX_REDIRECTS: u8 = 10;

fn wrong_config(file: &Path, fault: &ConfigError) -> CommandError {
    CommandError::configuration(format!("{}: {fault}", file.display()))
}

/// Writes to stdout; false when the reader has gone away.
fn write(data: &Bytes) -> Result<bool, CommandError> {
    let mut stdout = stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(fault) => Err(CommandError::internal(format!("the answer could not be written: {fault}"))),
    }
}

fn print_head(head: &http::response::Parts) {
    render::line(format_args!("{:?} {}", head.version, head.status));
    for (name, value) in &head.headers {
        // A nonce is good for another proof; nobody needs it here.
        let hidden = *name == countersign_dpop::headers::DPOP_NONCE;
        let shown = if hidden { "[hidden]" } else { value.to_str().unwrap_or("[not text]") };
        render::line(format_args!("{name}: {shown}"));
    }
    render::line("");
}

/// Reads a field of `-H`. What is wrong with it is said without its value, which may be a secret.
fn field(text: &str) -> Result<(HeaderName, HeaderValue), CommandError> {
    let wrong =
        |what| CommandError::configuration(format!("-H: {what}")).with_hint("a header field is written 'NAME: VALUE'");
    let (name, value) = text.split_once(':').ok_or_else(|| wrong("there is no colon in it".to_owned()))?;
    let name: HeaderName = name.trim().parse().map_err(|_| wrong(format!("{name:?} is no name of a header field")))?;
    let character = |_| wrong(format!("the value of {name} has a character that no header field can have"));
    let value = value.trim().parse().map_err(character)?;
    Ok((name, value))
}

/// Says why there is no answer: what the caller asked for and may not have, or what happened on the way.
fn no_answer(fault: CallError, url: &str) -> CommandError {
    match fault {
        CallError::Token(fault @ TokenError::LoginNeeded { .. }) => token_error(&fault, url),
        CallError::CredentialsGiven { field } => {
            CommandError::configuration(format!("the {field} field is made here and cannot be given"))
                .with_hint(format!("leave out the -H for {field}"))
        }
        CallError::Endpoint(fault) => CommandError::configuration(format!("the URL cannot be called: {fault}"))
            .with_hint("write it whole, like https://api.example.com/orders"),
        CallError::OutsideResource { .. } => CommandError::configuration(&fault)
            .with_hint("a token is for one API; for another one log in there, or use its client file"),
        CallError::Nonce(NonceError::BodyNotRepeatable) => CommandError::internal(
            "no answer: the server asks for a nonce, and so long a standard input is gone by then",
        )
        .with_hint("put the data into a file and use --data @FILE, which can be sent again"),
        fault => CommandError::internal(format!("no answer: {fault}")).with_hint("-v shows every step up to here"),
    }
}

/// Tells a step on stderr.
pub(crate) fn tell(step: &Step) {
    let text = match step {
        Step::MetadataRead { url, token_endpoint, dpop_algorithms, .. } => {
            format!("* metadata from {url}: token endpoint {token_endpoint}, proofs by {}", dpop_algorithms.join(" "))
        }
        Step::Sent { server, method, url, with_proof: false, .. } => {
            format!("> {method} {url} to the {}, without a proof", server_name(*server))
        }
        Step::Sent { server, method, url, jkt, algorithm, with_nonce, with_proof: true } => {
            let to = server_name(*server);
            let nonce = if *with_nonce { ", with the nonce asked for" } else { "" };
            format!("> {method} {url} to the {to}\n> DPoP: [a proof by {algorithm}, key {jkt}{nonce}]")
        }
        Step::Answered { server, status, error, nonce_given } => {
            let error = error.map_or(String::new(), |code| format!(" {code}"));
            let nonce = if *nonce_given { ", with a nonce for the next proof" } else { "" };
            format!("< {status}{error} from the {}{nonce}", server_name(*server))
        }
        Step::TokenReceived { scope, bound, .. } => {
            let bound = if *bound { "bound to the key" } else { "NOT bound: who has it can use it" };
            format!("* token received, {bound}, scope {}", scope.as_deref().unwrap_or("not said"))
        }
        Step::ResourceRead { url, resource, issuer } => {
            format!("* {url} says: resource {resource}, tokens by {issuer}")
        }
        Step::ClientRegistered { issuer, client_id } => format!("* registered at {issuer} as client {client_id}"),
        Step::AnswerRefused { reason } => format!("* {reason}; waiting for the right one"),
        Step::TokenDiscarded => "* the token was refused and thrown away".to_owned(),
        Step::ClockCorrected { origin, seconds } => {
            format!("* the clock of {origin} is {seconds} s ahead of this one; proofs are dated by it from now on")
        }
    };
    render::status(styled(DIM, text));
}

const fn server_name(server: Server) -> &'static str {
    match server {
        Server::Authorization => "authorization server",
        Server::Resource => "resource server",
    }
}
