//! Sends requests byte by byte as they were forged, each on a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use countersign_probe::corpus::{Answer, ForgedRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Long enough for a machine that does much else; a gateway that does not answer fails the case.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn send(address: SocketAddr, request: &ForgedRequest) -> Answer {
    let answer =
        async { if request.http2 { send_http2(address, request).await } else { send_http1(address, request).await } };
    timeout(PATIENCE, answer).await.expect("the gateway answers")
}

async fn send_http1(address: SocketAddr, request: &ForgedRequest) -> Answer {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let text = written(request);
    // A gateway may answer and close before it has read all; then writing fails, and the answer is still there.
    let write = async { drop(writer.write_all(text.as_bytes()).await) };
    let mut head = Vec::new();
    let read = async {
        let mut part = [0; 4_096];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match reader.read(&mut part).await {
                Ok(count) if count > 0 => head.extend_from_slice(&part[..count]),
                Ok(_) | Err(_) => break,
            }
        }
    };
    tokio::join!(write, read);
    parse(&String::from_utf8(head).unwrap())
}

fn written(request: &ForgedRequest) -> String {
    let head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target, request.authority);
    let fields = lines(&request.fields);
    let body = &request.body;
    if !request.trailers.is_empty() {
        let trailers = lines(&request.trailers);
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n{trailers}\r\n", body.len());
        return format!("{head}{fields}Transfer-Encoding: chunked\r\n\r\n{chunks}");
    }
    if body.is_empty() {
        return format!("{head}{fields}\r\n");
    }
    format!("{head}{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn lines(fields: &[(String, String)]) -> String {
    fields.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect()
}

fn parse(head: &str) -> Answer {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse::<StatusCode>().ok());
    let status = status.unwrap_or_else(|| panic!("no answer but {head:?}"));
    let mut fields = HeaderMap::new();
    for (name, value) in lines.map_while(|line| line.split_once(':')) {
        let name: HeaderName = name.parse().unwrap();
        fields.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    Answer::read(status, fields)
}

async fn send_http2(address: SocketAddr, request: &ForgedRequest) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("https://{}{}", request.authority, request.target);
    let mut builder = Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.fields {
        builder = builder.header(name, value);
    }
    let (head, _) = client.send_request(builder.body(Empty::<Bytes>::new()).unwrap()).await.unwrap().into_parts();
    connection.abort();
    Answer::read(head.status, head.headers)
}
