//! Bodies: those that can be sent again, those that cannot, and those that come back.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream;
use http_body::{Body, Frame, SizeHint};
use tokio_util::io::ReaderStream;

use crate::http::{TransportError, read_at_most};

/// The body of a request.
pub struct RequestBody(Content);

enum Content {
    File { path: Arc<Path>, length: u64 },
    Whole(Bytes),
    Stream(reqwest::Body),
}

impl RequestBody {
    /// No body.
    pub const fn empty() -> Self {
        Self(Content::Whole(Bytes::new()))
    }

    /// The contents of a file, of any size, read as they are sent. The file is opened anew for every attempt.
    ///
    /// # Errors
    /// The system's, when there is no such plain file that can be read now. One that goes away later fails the call.
    pub fn file(path: PathBuf) -> io::Result<Self> {
        let facts = std::fs::File::open(&path)?.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
        }
        Ok(Self(Content::File { path: path.into(), length: facts.len() }))
    }

    /// A body that is sent as it comes. It can be sent once only, so a server that first asks for a nonce gets no
    /// second request by itself.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(Content::Stream(reqwest::Body::wrap(body)))
    }

    /// A copy to send again; `None` for a stream.
    pub(crate) fn again(&self) -> Option<Self> {
        match &self.0 {
            Content::File { path, length } => Some(Self(Content::File { path: path.clone(), length: *length })),
            Content::Whole(bytes) => Some(Self(Content::Whole(bytes.clone()))),
            Content::Stream(_) => None,
        }
    }

    pub(crate) fn into_reqwest(self) -> reqwest::Body {
        match self.0 {
            Content::File { path, length } => {
                reqwest::Body::wrap(FileBody { left: length, chunks: Box::pin(read_file(path)) })
            }
            Content::Whole(bytes) => bytes.into(),
            Content::Stream(body) => body,
        }
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self(Content::Whole(bytes))
    }
}

impl From<Vec<u8>> for RequestBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Content::Whole(bytes.into()))
    }
}

impl From<String> for RequestBody {
    fn from(text: String) -> Self {
        Self(Content::Whole(text.into()))
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::File { length, .. } => write!(f, "RequestBody(file of {length} bytes)"),
            Content::Whole(bytes) => write!(f, "RequestBody({} bytes)", bytes.len()),
            Content::Stream(_) => f.write_str("RequestBody(stream)"),
        }
    }
}

/// A file on its way, with its length: many servers read nothing where none is said.
struct FileBody {
    left: u64,
    chunks: Pin<Box<dyn stream::Stream<Item = io::Result<Bytes>> + Send + Sync>>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        if body.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = ready!(body.chunks.as_mut().poll_next(context));
        Poll::Ready(chunk.map(|chunk| chunk.map(|chunk| Frame::data(body.within_length(chunk)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl FileBody {
    /// A file that has grown since is sent as long as it was.
    fn within_length(&mut self, mut chunk: Bytes) -> Bytes {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        chunk.truncate(most);
        self.left = self.left.saturating_sub(chunk.len() as u64);
        chunk
    }
}

fn read_file(path: Arc<Path>) -> impl stream::Stream<Item = io::Result<Bytes>> + Send + Sync {
    stream::once(async move { tokio::fs::File::open(path).await.map(|file| ReaderStream::with_capacity(file, CHUNK)) })
        .try_flatten()
}

/// How much of a file is read at a time.
const CHUNK: usize = 64 * 1_024;

/// The body of an answer, read as it comes.
pub struct ResponseBody(reqwest::Body);

impl ResponseBody {
    pub(crate) const fn new(body: reqwest::Body) -> Self {
        Self(body)
    }

    /// Reads the whole, if it is no longer than `limit` bytes.
    ///
    /// # Errors
    /// [`TransportError::AnswerTooLong`], or what happened on the way.
    pub async fn read_at_most(self, limit: usize) -> Result<Bytes, TransportError> {
        read_at_most(self, limit).await
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let inner = Pin::new(&mut self.get_mut().0);
        inner.poll_frame(context).map_err(|fault| TransportError::from_reqwest(&fault))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_file_says_its_length_and_can_be_sent_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 200_000]).unwrap();
        let body = RequestBody::file(file.path().to_owned()).unwrap();
        for attempt in [body.again().unwrap(), body] {
            let sent = attempt.into_reqwest();
            assert_eq!(sent.size_hint().exact(), Some(200_000));
            assert_eq!(sent.collect().await.unwrap().to_bytes(), vec![7; 200_000]);
        }
    }

    #[tokio::test]
    async fn a_file_that_has_grown_is_sent_as_long_as_it_was() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "short").unwrap();
        let body = RequestBody::file(file.path().to_owned()).unwrap();
        std::fs::write(file.path(), "short and more").unwrap();
        assert_eq!(body.into_reqwest().collect().await.unwrap().to_bytes(), "short");
    }

    #[test]
    fn what_is_no_plain_file_is_refused() {
        assert!(RequestBody::file("/".into()).is_err());
        assert!(RequestBody::file("/no/such/file".into()).is_err());
    }
}
