//! The bridge: a message a line on one side, a request a message on the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use countersign_agent::{DoorBody, Running};
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::events::Events;
use crate::error::CommandError;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The longest message, in bytes.
const MAX_MESSAGE: usize = 16 * 1_048_576;
/// Requests under way at a time.
const MAX_UNDER_WAY: usize = 64;
/// Lines that wait to be written.
const QUEUE: usize = 256;
/// How long answers under way may take after the input has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// One client on standard input and output.
pub(super) struct Bridge {
    running: Running,
    state: Mutex<State>,
}

/// What later requests carry.
#[derive(Default)]
struct State {
    session: Option<HeaderValue>,
    version: Option<HeaderValue>,
    listening: bool,
}

type Lines = mpsc::Sender<Vec<u8>>;

impl Bridge {
    pub(super) fn new(running: Running) -> Arc<Self> {
        Arc::new(Self { running, state: Mutex::default() })
    }

    /// Passes messages on until standard input ends.
    pub(super) async fn speak(self: Arc<Self>) -> Result<(), CommandError> {
        let (lines, waiting) = mpsc::channel(QUEUE);
        let writing = tokio::spawn(write(waiting));
        let mut input = BufReader::new(stdin());
        let (mut under_way, mut listening) = (JoinSet::new(), JoinSet::new());
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = read_line(&mut input, &mut line).await;
            if read.map_err(|fault| CommandError::internal(format!("standard input: {fault}")))? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            while under_way.len() >= MAX_UNDER_WAY {
                under_way.join_next().await;
            }
            let message = Message::read(&line);
            let (bridge, answers) = (Arc::clone(&self), lines.clone());
            if message.comes_first() {
                // What comes after it depends on what it brings.
                bridge.send(message, &answers).await;
            } else {
                under_way.spawn(async move { bridge.send(message, &answers).await });
            }
            if self.wants_stream() {
                let (bridge, lines) = (Arc::clone(&self), lines.clone());
                listening.spawn(async move { bridge.listen(&lines).await });
            }
        }
        let answered = async { while under_way.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, answered).await;
        listening.shutdown().await;
        self.end_session().await;
        drop(lines);
        let _ = tokio::time::timeout(Duration::from_secs(1), writing).await;
        Ok(())
    }

    async fn send(&self, message: Message, lines: &Lines) {
        let request = self.request(Method::POST, &message);
        let response = self.running.answer(request).await;
        self.learn(&message, &response);
        let status = response.status();
        let is_events = content_type(&response).starts_with("text/event-stream");
        if status.is_success() && is_events {
            self.pass_events(response.into_body(), Some(&message), lines).await;
            return;
        }
        let body = Limited::new(response.into_body(), MAX_MESSAGE).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        match serde_json::from_slice::<Value>(&body) {
            Ok(value) if value.get("jsonrpc").is_some() || value.is_array() => {
                self.pass(&value, &message, lines).await;
            }
            _ if status.is_success() && message.id.is_none() => {}
            value => {
                if let Some(line) = message.failed(status, value.ok().as_ref()) {
                    let _ = lines.send(line).await;
                }
            }
        }
    }

    /// Each event is a message. When the stream ends without the answer, the client is told that there is none.
    async fn pass_events(&self, mut body: DoorBody, message: Option<&Message>, lines: &Lines) {
        let mut events = Events::default();
        let mut answered = false;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            let Ok(ended) = events.push(&data) else { break };
            for value in ended.iter().filter_map(|data| serde_json::from_slice::<Value>(data).ok()) {
                if let Some(message) = message {
                    answered |= value.get("id") == message.id.as_ref() && value.get("method").is_none();
                    self.pass(&value, message, lines).await;
                } else {
                    let _ = lines.send(value.to_string().into_bytes()).await;
                }
            }
        }
        if let Some(line) =
            message.filter(|_| !answered).and_then(|message| message.failed(StatusCode::BAD_GATEWAY, None))
        {
            let _ = lines.send(line).await;
        }
    }

    async fn pass(&self, value: &Value, message: &Message, lines: &Lines) {
        if message.method.as_deref() == Some("initialize")
            && let Some(version) = value.pointer("/result/protocolVersion").and_then(Value::as_str)
        {
            self.lock().version = HeaderValue::from_str(version).ok();
        }
        let _ = lines.send(value.to_string().into_bytes()).await;
    }

    fn learn(&self, message: &Message, response: &Response<DoorBody>) {
        if message.method.as_deref() == Some("initialize")
            && let Some(session) = response.headers().get(SESSION)
        {
            self.lock().session = Some(session.clone());
        }
    }

    fn request(&self, method: Method, message: &Message) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(message.bytes.clone()));
        *request.method_mut() = method;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let state = self.lock();
        for (name, value) in [(SESSION, &state.session), (VERSION, &state.version)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        if let Some(version) = message.version.as_deref().and_then(|version| HeaderValue::from_str(version).ok()) {
            headers.insert(VERSION, version);
        }
        for (name, value) in [(METHOD, &message.method), (NAME, &message.name)] {
            let plain = value.as_deref().filter(|value| value.bytes().all(|byte| byte.is_ascii_graphic()));
            if let Some(value) = plain.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        request
    }

    /// True once, when a server of an older protocol version has begun a session: it may want to speak by itself.
    fn wants_stream(&self) -> bool {
        let mut state = self.lock();
        let wants = state.session.is_some() && !state.listening;
        state.listening |= wants;
        wants
    }

    async fn listen(&self, lines: &Lines) {
        let mut request = self.request(Method::GET, &Message::default());
        request.headers_mut().remove(CONTENT_TYPE);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let response = self.running.answer(request).await;
        if response.status().is_success() {
            self.pass_events(response.into_body(), None, lines).await;
        } else {
            tracing::debug!(status = %response.status(), allow = ?response.headers().get(ALLOW), "no stream to listen to");
        }
    }

    async fn end_session(&self) {
        if self.lock().session.is_some() {
            let request = self.request(Method::DELETE, &Message::default());
            let _ = tokio::time::timeout(Duration::from_secs(5), self.running.answer(request)).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's message.
#[derive(Default)]
struct Message {
    bytes: Bytes,
    id: Option<Value>,
    method: Option<String>,
    name: Option<String>,
    version: Option<String>,
}

impl Message {
    /// What is no JSON is sent as it is: the server says what is wrong with it.
    fn read(line: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(line).unwrap_or_default();
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let method = text("/method");
        let name = text("/params/name").or_else(|| text("/params/uri"));
        let name = name.filter(|_| method.as_deref().is_some_and(names_something));
        let version = text("/params/_meta/io.modelcontextprotocol~1protocolVersion");
        let id = value.get("id").filter(|_| method.is_some()).cloned();
        Self { bytes: line.trim_ascii().to_vec().into(), id, method, name, version }
    }

    fn comes_first(&self) -> bool {
        matches!(self.method.as_deref(), Some("initialize" | "notifications/initialized"))
    }

    /// The answer that says that there is none; nothing for what wants no answer.
    fn failed(&self, status: StatusCode, said: Option<&Value>) -> Option<Vec<u8>> {
        let id = self.id.as_ref()?;
        let text = |member: &str| said.and_then(|said| said.get(member)).and_then(Value::as_str);
        let what = match (text("detail"), text("code")) {
            (Some(detail), Some(code)) => format!("{detail} ({code})"),
            _ => format!("the server answers with {status}"),
        };
        let error = json!({ "code": -32_000, "message": what, "data": { "status": status.as_u16(), "countersign": text("code") } });
        Some(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string().into_bytes())
    }
}

fn names_something(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

fn content_type(response: &Response<DoorBody>) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

async fn read_line(input: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> std::io::Result<usize> {
    let limit = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX);
    let read = tokio::io::AsyncReadExt::take(input, limit).read_until(b'\n', line).await?;
    if read >= MAX_MESSAGE { Err(std::io::Error::other("a message that is too long")) } else { Ok(read) }
}

async fn write(mut lines: mpsc::Receiver<Vec<u8>>) {
    let mut output = stdout();
    while let Some(mut line) = lines.recv().await {
        line.push(b'\n');
        if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}
