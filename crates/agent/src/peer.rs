//! Who is at the other end of a Unix socket.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::socket::{getsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

/// The process that connected, as the kernel and `/proc` tell it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// The process and its ancestors, itself first; empty where nothing is known.
    pub chain: Vec<ProcessInfo>,
    /// True when the process was held by a pidfd while it was looked at, so that its number cannot have been given
    /// to another one in between.
    pub verified: bool,
}

/// One process.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: i32,
    /// The file it runs, or its name where that cannot be read.
    pub exe: String,
}

/// The longest chain that is followed.
const MAX_CHAIN: usize = 16;
/// The longest name that is kept, in bytes.
const MAX_NAME: usize = 256;

impl Peer {
    /// Asks the kernel who connected.
    pub(crate) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let held = getsockopt(&stream.as_fd(), sockopt::PeerPidfd).ok();
        let chain = credentials.pid().map(chain).unwrap_or_default();
        // Number and pidfd are of the same process, that which connected. As long as it runs nobody else has its
        // number, so what was read just now was read of it.
        let verified = !chain.is_empty() && held.is_some_and(|pidfd| runs(&pidfd));
        Ok(Self { uid: credentials.uid(), chain, verified })
    }

    /// The process itself.
    pub fn process(&self) -> Option<&ProcessInfo> {
        self.chain.first()
    }
}

/// A pidfd becomes readable when its process ends.
fn runs(pidfd: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(pidfd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&at_once)).is_ok_and(|ready| ready == 0)
}

fn chain(pid: i32) -> Vec<ProcessInfo> {
    let mut chain = Vec::new();
    let mut next = Some(pid);
    while let Some(pid) = next.filter(|pid| *pid > 0)
        && chain.len() < MAX_CHAIN
    {
        let Some((name, parent)) = name_and_parent(pid) else { break };
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok().map(PathBuf::into_os_string);
        let exe = exe.map_or(name, |exe| exe.to_string_lossy().into_owned());
        chain.push(ProcessInfo { pid, exe: plain(&exe) });
        next = Some(parent);
    }
    chain
}

/// `comm` and `ppid` of `/proc/PID/stat`; the former may hold blanks and brackets.
fn name_and_parent(pid: i32) -> Option<(String, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (front, back) = stat.rsplit_once(')')?;
    let name = front.split_once('(')?.1.to_owned();
    let parent = back.split_whitespace().nth(1)?.parse().ok()?;
    Some((name, parent))
}

/// `text` without what a terminal could take for a command, bounded.
pub(crate) fn plain(text: &str) -> String {
    let mut plain: String = text.chars().map(|c| if c.is_control() || is_turning(c) { '?' } else { c }).collect();
    if plain.len() > MAX_NAME {
        let end = (0..=MAX_NAME).rev().find(|end| plain.is_char_boundary(*end)).unwrap_or(0);
        plain.truncate(end);
        plain.push('…');
    }
    plain
}

/// A method as [`plain`] gives it; all but the longest need no copy, as a method is a token (RFC 9110 §9.1).
pub(crate) fn plain_method(method: &http::Method) -> Cow<'_, str> {
    if method.as_str().len() <= MAX_NAME { Cow::Borrowed(method.as_str()) } else { Cow::Owned(plain(method.as_str())) }
}

/// Characters that turn the direction of writing or cannot be seen.
const fn is_turning(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_says_who_connected() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let peer = Peer::of(&one).expect("a peer");
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        let own = i32::try_from(std::process::id()).expect("a pid");
        let process = peer.process().expect("a process");
        assert_eq!(process.pid, own);
        assert!(process.exe.contains("agent"), "{process:?}");
        assert!(peer.verified, "a kernel from 6.5 on says which process it is: {peer:?}");
        assert!(peer.chain.len() > 1, "parents are known too: {peer:?}");
    }

    #[test]
    fn nothing_reaches_a_terminal_that_it_could_obey() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a?[2Jb?c?d");
        assert!(plain(&"é".repeat(500)).len() <= MAX_NAME + '…'.len_utf8());
    }
}
