use std::fmt;

use serde::{Serialize, Serializer};

/// What was taken for granted while reading, so that a person can set it right. Never text of the capture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Note {
    /// The algorithms are those of the server's challenge.
    AlgorithmsOfChallenge,
    /// The line breaks within a bare proof were dropped.
    BreaksDropped,
    /// So many earlier requests in the capture were not looked at.
    EarlierRequests(usize),
    /// No clock of the time of sending is known.
    ExaminersClock,
    /// So many lines are no header fields.
    LinesSkipped(usize),
    /// A proof or token is a placeholder, or a variable that a shell would have filled in.
    Placeholder,
    /// The capture does not say the scheme; `https` was assumed.
    SchemeAssumed,
    /// The scheme is that of `X-Forwarded-Proto`.
    SchemeForwarded,
    /// The capture does not say the scheme; `http` was assumed because the host is of this machine.
    SchemeLoopback,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlgorithmsOfChallenge => f.write_str("judged by the algorithms that the server's challenge lists"),
            Self::BreaksDropped => {
                f.write_str("line breaks and blanks within the proof were dropped before it was read")
            }
            Self::EarlierRequests(count) => {
                write!(f, "only the last request was looked at; earlier ones in the capture: {count}")
            }
            Self::ExaminersClock => f.write_str(
                "when the request was sent is not known, so this machine's clock was taken; --now says better",
            ),
            Self::LinesSkipped(count) => write!(f, "lines that are no header fields were skipped: {count}"),
            Self::Placeholder => {
                f.write_str("a proof or token is a placeholder or a variable and was not looked at; paste the real one")
            }
            Self::SchemeAssumed => {
                f.write_str("the capture does not say the scheme; https was assumed, --url says better")
            }
            Self::SchemeForwarded => f.write_str("the scheme was taken from X-Forwarded-Proto; --url says better"),
            Self::SchemeLoopback => f.write_str(
                "the capture does not say the scheme; http was assumed for a loopback host, --url says better",
            ),
        }
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
