//! Looking an answer through for what the agent sent: a server that repeats what it got would hand it to the program.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use countersign_forward::BoxError;
use http::{HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use memchr::memmem;
use smallvec::SmallVec;
use zeroize::Zeroizing;

/// Shorter secrets are not looked for: they would be found by chance. So many bytes of a secret's beginning are
/// searched for, and the rest is compared where they are found: the searcher for these few is small.
const MIN_SECRET: usize = 16;
/// What stands where a secret stood. One for one, so that the length stays what was said.
const MASK: u8 = b'*';

/// The secrets of one exchange: mostly a token and a proof.
pub(crate) struct Needles(SmallVec<[Needle; 2]>);

/// One secret, and a searcher for its beginning, made when there is something long enough to hold it.
struct Needle {
    secret: Secret,
    beginning: OnceLock<Box<memmem::Finder<'static>>>,
}

enum Secret {
    Text(Zeroizing<String>),
    /// What follows so many bytes of a field's value.
    Field(HeaderValue, usize),
}

impl Needles {
    pub(crate) fn new(secrets: &[Zeroizing<String>]) -> Self {
        let long = secrets.iter().filter(|secret| secret.len() >= MIN_SECRET).cloned();
        Self(long.map(|secret| Needle { secret: Secret::Text(secret), beginning: OnceLock::new() }).collect())
    }

    /// The credentials in `fields`, without their schemes: they may be repeated alone.
    pub(crate) fn of(fields: &[(HeaderName, HeaderValue)]) -> Self {
        let mut needles = SmallVec::new();
        for (_, value) in fields {
            let begin = memchr::memchr(b' ', value.as_bytes()).map_or(0, |at| at.saturating_add(1));
            let secret = Secret::Field(value.clone(), begin);
            if secret.as_bytes().len() >= MIN_SECRET {
                needles.push(Needle { secret, beginning: OnceLock::new() });
            }
        }
        Self(needles)
    }

    /// True when one of them is in `bytes`.
    pub(crate) fn are_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|needle| needle.find(bytes, 0).is_some())
    }

    /// Masks what is found, and says how often.
    pub(crate) fn mask(&self, bytes: &mut [u8]) -> usize {
        let mut times = 0_usize;
        for needle in &self.0 {
            let mut from = 0;
            while let Some(at) = needle.find(bytes, from) {
                from = at.saturating_add(needle.secret.as_bytes().len());
                if let Some(place) = bytes.get_mut(at..from) {
                    place.fill(MASK);
                }
                times = times.saturating_add(1);
            }
        }
        times
    }

    /// How many bytes at the end of `bytes` could be the beginning of a secret.
    pub(crate) fn tail(&self, bytes: &[u8]) -> usize {
        let longest = self.0.iter().map(|needle| begun(bytes, needle.secret.as_bytes()));
        longest.max().unwrap_or(0)
    }
}

impl Secret {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Field(value, from) => value.as_bytes().get(*from..).unwrap_or_default(),
        }
    }
}

impl Needle {
    fn beginning(&self) -> &memmem::Finder<'static> {
        let beginning = || self.secret.as_bytes().get(..MIN_SECRET).unwrap_or_default();
        self.beginning.get_or_init(|| Box::new(memmem::Finder::new(beginning()).into_owned()))
    }

    /// Where it is in `bytes`, from `from` on.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let (secret, mut from) = (self.secret.as_bytes(), from);
        loop {
            let rest = bytes.get(from..).filter(|rest| rest.len() >= secret.len())?;
            let at = from.saturating_add(self.beginning().find(rest)?);
            if bytes.get(at..)?.starts_with(secret) {
                return Some(at);
            }
            from = at.saturating_add(1);
        }
    }
}

/// The length of the longest end of `bytes` that `needle` begins with, and does not end.
fn begun(bytes: &[u8], needle: &[u8]) -> usize {
    let most = bytes.len().min(needle.len().saturating_sub(1));
    let ends = bytes.get(bytes.len().saturating_sub(most)..).unwrap_or_default();
    let [first, second, ..] = needle else { return 0 };
    // Many bytes are the first of a secret; few of these are followed by its second.
    let begins = |end: &[u8]| match end {
        [one] => one == first,
        [one, other, ..] => one == first && other == second && needle.starts_with(end),
        [] => false,
    };
    (0..ends.len()).find(|at| ends.get(*at..).is_some_and(begins)).map_or(0, |at| ends.len().saturating_sub(at))
}

/// A body with the secrets masked. What could be the beginning of one is held back until more comes; everything else
/// goes on at once.
pub struct Scrub<B> {
    inner: B,
    needles: Needles,
    held: BytesMut,
    ended: bool,
    /// A frame that has to come after what is held.
    next: Option<Frame<Bytes>>,
}

impl<B> Scrub<B> {
    pub(crate) fn new(inner: B, needles: Needles) -> Self {
        Self { inner, needles, held: BytesMut::new(), ended: false, next: None }
    }

    /// What can go on, of `data` and what was held. After the last part nothing can be the beginning of a secret.
    fn take(&mut self, data: Bytes, is_last: bool) -> Option<Bytes> {
        let tail = |bytes: &[u8]| if is_last { 0 } else { self.needles.tail(bytes) };
        if self.held.is_empty() && !self.needles.are_in(&data) && tail(&data) == 0 {
            return Some(data);
        }
        self.held.extend_from_slice(&data);
        self.needles.mask(&mut self.held);
        let ready = self.held.len().saturating_sub(tail(&self.held));
        (ready > 0).then(|| self.held.split_to(ready).freeze())
    }
}

impl<B> Body for Scrub<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(frame) = this.next.take() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Some(Err(fault.into()))),
                Poll::Ready(None) => {
                    this.ended = true;
                    if !this.held.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(this.held.split().freeze()))));
                    }
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        let is_last = this.inner.is_end_stream();
                        if let Some(data) = this.take(data, is_last) {
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                    }
                    Err(frame) => {
                        this.next = Some(trailers(frame, &this.needles));
                        if !this.held.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(this.held.split().freeze()))));
                        }
                    }
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.held.is_empty() && (self.ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn trailers(frame: Frame<Bytes>, needles: &Needles) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            super::answer::remove_secrets(&mut trailers, needles);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

impl<B> fmt::Debug for Scrub<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrub")
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    const SECRET: &str = "canary-canary-canary-token";

    async fn through(chunks: &[&str]) -> String {
        let needles = Needles::new(&[Zeroizing::new(SECRET.to_owned())]);
        let frames: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, BoxError>(Frame::data(Bytes::copy_from_slice(chunk.as_bytes()))))
            .collect();
        let body = Scrub::new(StreamBody::new(futures_util::stream::iter(frames)), needles);
        String::from_utf8(body.collect().await.expect("a body").to_bytes().to_vec()).expect("text")
    }

    #[tokio::test]
    async fn masks_a_secret_however_it_is_split() {
        let text = format!("before {SECRET} after {SECRET}");
        let expected = text.replace(SECRET, &"*".repeat(SECRET.len()));
        for at in 0..=text.len() {
            let (one, two) = text.split_at(at);
            assert_eq!(through(&[one, two]).await, expected, "split at {at}");
        }
        let singles: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(through(&singles.iter().map(String::as_str).collect::<Vec<_>>()).await, expected);
    }

    #[tokio::test]
    async fn leaves_everything_else_as_it_is() {
        for text in ["", "canary-canary-cana", "canary-canary-canary-toke", "canary-canary-canary-canary-tok"] {
            assert_eq!(through(&[text]).await, text);
            assert_eq!(through(&[text, text]).await, format!("{text}{text}"));
        }
        assert_eq!(through(&[&format!("canary-{SECRET}")]).await, format!("canary-{}", "*".repeat(SECRET.len())));
    }

    #[test]
    fn a_secret_is_found_behind_others_of_the_same_beginning() {
        let needles = Needles::new(&[Zeroizing::new(SECRET.to_owned())]);
        let (begun, stars) = (&SECRET[..SECRET.len() - 1], "*".repeat(SECRET.len()));
        let mut text = format!("{begun}{begun}{SECRET}{begun}x{SECRET}{SECRET}{begun}").into_bytes();
        assert!(needles.are_in(&text));
        assert_eq!(needles.mask(&mut text), 3);
        assert_eq!(String::from_utf8_lossy(&text), format!("{begun}{begun}{stars}{begun}x{stars}{stars}{begun}"));
        assert!(!needles.are_in(&text));
        let short = Needles::new(&[Zeroizing::new("short".to_owned())]);
        assert!(!short.are_in(b"short"), "what is that short is found by chance");
    }
}
