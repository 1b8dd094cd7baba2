//! Reading `WWW-Authenticate`: every byte of it is the server's, which may be hostile.

use std::borrow::Cow;

use super::{Challenge, ChallengeError, Scheme, is_quotable};
use crate::headers::{is_tchar, is_token68};

/// The longest field that is read, in bytes.
const MAX_FIELD_LENGTH: usize = 8_192;
/// The most parameters of one challenge.
const MAX_PARAMETERS: usize = 64;
/// The most characters kept of an error code that is not known here.
const MAX_ERROR_LENGTH: usize = 64;
/// The most names kept of `algs`.
const MAX_ALGS: usize = 32;

pub(super) fn parse_field(field: &str) -> Result<Vec<Challenge>, ChallengeError> {
    if field.len() > MAX_FIELD_LENGTH {
        return Err(ChallengeError);
    }
    let mut reader = Reader { rest: field };
    let mut collected = Vec::new();
    // `None` while inside a challenge of a scheme that is not ours.
    let mut current: Option<Reading> = None;
    let mut in_challenge = false;
    while reader.skip_separators() {
        if in_challenge && let Some((name, value)) = reader.parameter()? {
            if let Some(reading) = &mut current {
                reading.take(name, value)?;
            }
            continue;
        }
        collected.extend(current.take().map(|reading| reading.challenge));
        current = reader.scheme()?.map(Reading::new);
        in_challenge = true;
        if reader.skip_spaces() {
            reader.token68_or_first_parameter(&mut current)?;
        }
        reader.expect_end_of_element()?;
    }
    collected.extend(current.map(|reading| reading.challenge));
    Ok(collected)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Skips blanks and commas between list elements; false at the end.
    fn skip_separators(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        !self.rest.is_empty()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// True when there were any and something of this element follows.
    fn skip_spaces(&mut self) -> bool {
        let before = self.rest.len();
        self.skip_blanks();
        self.rest.len() < before && !self.rest.is_empty() && !self.rest.starts_with(',')
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.rest.bytes().position(|byte| !is_tchar(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// The scheme of a new challenge; `Ok(None)` for one that is not ours.
    fn scheme(&mut self) -> Result<Option<Scheme>, ChallengeError> {
        let name = self.token().ok_or(ChallengeError)?;
        Ok([Scheme::Dpop, Scheme::Bearer].into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(name)))
    }

    fn token68_or_first_parameter(&mut self, current: &mut Option<Reading>) -> Result<(), ChallengeError> {
        if let Some((name, value)) = self.parameter()? {
            return current.as_mut().map_or(Ok(()), |reading| reading.take(name, value));
        }
        let end = self.rest.find([',', ' ', '\t']).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        if !is_token68(token.as_bytes()) {
            return Err(ChallengeError);
        }
        self.rest = rest;
        Ok(())
    }

    /// `name = value`, or nothing consumed when it is something else: a scheme, or `token68`, which may hold
    /// equals signs too.
    fn parameter(&mut self) -> Result<Option<(&'a str, String)>, ChallengeError> {
        let start = self.rest;
        let Some(name) = self.token() else { return Ok(None) };
        self.skip_blanks();
        let Some(after_equals) = self.rest.strip_prefix('=') else {
            self.rest = start;
            return Ok(None);
        };
        self.rest = after_equals;
        self.skip_blanks();
        let value = if let Some(quoted) = self.rest.strip_prefix('"') {
            self.quoted(quoted)?
        } else if let Some(token) = self.token() {
            token.to_owned()
        } else {
            self.rest = start;
            return Ok(None);
        };
        self.expect_end_of_element()?;
        Ok(Some((name, value)))
    }

    /// The rest of a `quoted-string` (RFC 9110 §5.6.4), after its first quote.
    fn quoted(&mut self, text: &'a str) -> Result<String, ChallengeError> {
        let mut value = String::new();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &text[at + 1..];
                    return Ok(value);
                }
                '\\' => value.push(chars.next().ok_or(ChallengeError)?.1),
                c if c.is_control() && c != '\t' => return Err(ChallengeError),
                c => value.push(c),
            }
        }
        Err(ChallengeError)
    }

    fn expect_end_of_element(&mut self) -> Result<(), ChallengeError> {
        self.skip_blanks();
        if self.rest.is_empty() || self.rest.starts_with(',') { Ok(()) } else { Err(ChallengeError) }
    }
}

/// A challenge while its parameters come in.
struct Reading {
    challenge: Challenge,
    names: Vec<String>,
}

impl Reading {
    const fn new(scheme: Scheme) -> Self {
        Self { challenge: Challenge::new(scheme), names: Vec::new() }
    }

    /// Takes one parameter; a name may occur only once (RFC 9110 §11.2). A value with characters that its own
    /// definition does not allow counts as absent.
    fn take(&mut self, name: &str, value: String) -> Result<(), ChallengeError> {
        let name = name.to_ascii_lowercase();
        if self.names.len() == MAX_PARAMETERS || self.names.contains(&name) {
            return Err(ChallengeError);
        }
        let challenge = &mut self.challenge;
        match name.as_str() {
            "error" => match value.parse() {
                Ok(code) => challenge.error = Some(code),
                Err(_) => challenge.other_error = Some(odd_error(&value)),
            },
            "error_description" => challenge.error_description = Some(value.chars().filter(is_quotable).collect()),
            "algs" => challenge.algs = read_algs(&value),
            "scope" => challenge.scope = quotable(value),
            "resource_metadata" => challenge.resource_metadata = quotable(value),
            _ => {}
        }
        self.names.push(name);
        Ok(())
    }
}

/// A code that is not known here, of legal characters: what is dropped could make it another code.
fn odd_error(value: &str) -> String {
    value.chars().take(MAX_ERROR_LENGTH).map(|c| if is_quotable(&c) { c } else { '?' }).collect()
}

fn quotable(value: String) -> Option<String> {
    value.chars().all(|c| is_quotable(&c)).then_some(value)
}

fn read_algs(value: &str) -> Vec<Cow<'static, str>> {
    let is_name = |name: &&str| name.bytes().all(is_tchar);
    let names = value.split([' ', '\t']).filter(|name| !name.is_empty()).filter(is_name);
    names.take(MAX_ALGS).map(|name| name.to_owned().into()).collect()
}
