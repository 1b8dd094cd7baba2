//! A pull reader for JSON (RFC 8259): one pass over the text, strings borrowed where they have no escapes, no
//! recursion deeper than the limit. It reads what a caller asks for and checks what it skips by the same rules.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{JsonError, JsonLimits};

/// Reads one JSON text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    members: usize,
    limits: JsonLimits,
    /// The names of the members read so far of every object that is open, innermost last.
    names: SmallVec<[Cow<'a, str>; NAMES_AT_ONCE]>,
}

/// A value that has been read. What arrays and objects hold has been checked and skipped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Number(&'a str),
    Bool(bool),
    Null,
    Array,
    Object,
}

/// What an object had under one name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Member<T> {
    #[default]
    Absent,
    WrongType,
    Present(T),
}

impl<T> Member<T> {
    pub(crate) fn present(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::WrongType => None,
        }
    }
}

impl<'a> Value<'a> {
    pub(crate) fn into_text(self) -> Member<Cow<'a, str>> {
        match self {
            Self::Text(text) => Member::Present(text),
            Self::Number(_) | Self::Bool(_) | Self::Null | Self::Array | Self::Object => Member::WrongType,
        }
    }

    pub(crate) fn into_number(self) -> Member<&'a str> {
        match self {
            Self::Number(number) => Member::Present(number),
            Self::Text(_) | Self::Bool(_) | Self::Null | Self::Array | Self::Object => Member::WrongType,
        }
    }
}

impl<'a> Reader<'a> {
    /// Starts on `bytes`, which must be UTF-8.
    pub(crate) fn new(bytes: &'a [u8], limits: JsonLimits) -> Result<Self, JsonError> {
        let text =
            simdutf8::compat::from_utf8(bytes).map_err(|fault| JsonError::Syntax { offset: fault.valid_up_to() })?;
        Ok(Self { text, at: 0, depth: 0, members: 0, limits, names: SmallVec::new() })
    }

    /// Checks a whole text and keeps nothing of it.
    pub(crate) fn check(bytes: &'a [u8], limits: JsonLimits) -> Result<(), JsonError> {
        let mut reader = Self::new(bytes, limits)?;
        reader.value()?;
        reader.finish()
    }

    /// Refuses anything but white space after the value.
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.syntax()) }
    }

    /// True when the next value is an object.
    pub(crate) fn at_object(&mut self) -> bool {
        self.skip_space();
        self.peek() == Some(b'{')
    }

    /// True when the next value is an array.
    pub(crate) fn at_array(&mut self) -> bool {
        self.skip_space();
        self.peek() == Some(b'[')
    }

    /// Reads one value.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'{') => self.object(|reader, _| reader.value().map(drop)).map(|()| Value::Object),
            Some(b'[') => self.array(|reader| reader.value().map(drop)).map(|()| Value::Array),
            Some(b't') => self.word("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Value::Bool(false)),
            Some(b'n') => self.word("null").map(|()| Value::Null),
            Some(_) | None => Err(self.syntax()),
        }
    }

    /// Reads an object. `member` gets each name and must read exactly one value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        let first_name = self.names.len();
        self.open(b'{')?;
        if !self.take(b'}') {
            loop {
                self.count_member()?;
                self.skip_space();
                let name = self.string()?;
                self.expect(b':')?;
                member(self, &name)?;
                self.names.push(name);
                if self.take(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.depth -= 1;
        let repeated = any_twice(&mut self.names[first_name..]);
        self.names.truncate(first_name);
        if repeated { Err(JsonError::MemberRepeated) } else { Ok(()) }
    }

    /// Reads an array. `element` must read exactly one value each time it is called.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.open(b'[')?;
        if !self.take(b']') {
            loop {
                self.count_member()?;
                element(self)?;
                if self.take(b']') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.expect(bracket)?;
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(JsonError::TooDeep { limit: self.limits.depth });
        }
        Ok(())
    }

    fn count_member(&mut self) -> Result<(), JsonError> {
        self.members += 1;
        if self.members > self.limits.members {
            return Err(JsonError::TooManyMembers { limit: self.limits.members });
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        self.at += 1;
        let start = self.at;
        self.skip_plain();
        match self.peek() {
            Some(b'"') => {
                let text = self.text.get(start..self.at).ok_or_else(|| self.syntax())?;
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            Some(b'\\') => self.string_with_escapes(start).map(Cow::Owned),
            Some(_) | None => Err(self.syntax()),
        }
    }

    fn string_with_escapes(&mut self, start: usize) -> Result<String, JsonError> {
        let mut text = String::from(&self.text[start..self.at]);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(0x20..) => {
                    let plain = self.at;
                    self.skip_plain();
                    text.push_str(&self.text[plain..self.at]);
                }
                Some(0..0x20) | None => return Err(self.syntax()),
            }
        }
    }

    /// Moves to the next quote, back-slash or control character.
    fn skip_plain(&mut self) {
        self.at += plain_length(self.text.as_bytes().get(self.at..).unwrap_or_default());
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let letter = self.peek().ok_or_else(|| self.syntax())?;
        self.at += 1;
        match letter {
            b'"' | b'\\' | b'/' => Ok(char::from(letter)),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'n' => Ok('\n'),
            b'r' => Ok('\r'),
            b't' => Ok('\t'),
            b'u' => self.escaped_code_point(),
            _ => Err(self.syntax()),
        }
    }

    /// A lone surrogate is no character: two different texts would otherwise become one.
    fn escaped_code_point(&mut self) -> Result<char, JsonError> {
        let unit = self.four_hex_digits()?;
        let code_point = match unit {
            0xd800..0xdc00 => {
                if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                    return Err(self.syntax());
                }
                self.at += 2;
                let low = self.four_hex_digits()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return Err(self.syntax());
                }
                0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => unit,
        };
        char::from_u32(code_point).ok_or_else(|| self.syntax())
    }

    fn four_hex_digits(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or_else(|| self.syntax())?;
        let mut value = 0;
        for &digit in digits {
            value = value * 16 + char::from(digit).to_digit(16).ok_or_else(|| self.syntax())?;
        }
        self.at += 4;
        Ok(value)
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.step_over(b'-');
        if !self.step_over(b'0') {
            self.digits()?;
        }
        if self.step_over(b'.') {
            self.digits()?;
        }
        if self.step_over(b'e') || self.step_over(b'E') {
            let _sign = self.step_over(b'+') || self.step_over(b'-');
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax()) } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    /// Steps over `byte` and the white space before it, if it is there.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.step_over(byte)
    }

    fn step_over(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn syntax(&self) -> JsonError {
        JsonError::Syntax { offset: self.at }
    }
}

/// How many bytes come before the first quote, back-slash or control character.
pub(crate) fn plain_length(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let ends = string_ends(u64::from_le_bytes(*word));
        if ends != 0 {
            return text.len() - rest.len() + ends.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let end = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
    text.len() - rest.len() + end.unwrap_or(rest.len())
}

/// Looks at eight bytes at once. The lowest bit that is set is the top bit of the first byte that is a quote, a
/// back-slash or a control character; none is set if there is no such byte.
const fn string_ends(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES * 0x80;
    // A borrow can only come from a byte that ends the string itself, so nothing below the first end is set by mistake.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64)) | controls) & TOPS
}

/// Room for the names of an ordinary proof header, its key included.
const NAMES_AT_ONCE: usize = 16;

/// Compares unescaped names: each with each while they are few, sorted when they are many, so that a large object
/// does not cost the square of its size.
fn any_twice(names: &mut [Cow<'_, str>]) -> bool {
    if names.len() > NAMES_AT_ONCE {
        names.sort_unstable();
        return names.windows(2).any(|pair| pair[0] == pair[1]);
    }
    let mut beginnings = [0; NAMES_AT_ONCE];
    names.iter().enumerate().any(|(place, name)| {
        let beginning = beginning(name);
        beginnings[place] = beginning;
        let before = beginnings[..place].iter().zip(&*names);
        before.filter(|(other, _)| **other == beginning).any(|(_, other)| other == name)
    })
}

/// The length of a name and its first bytes. Where these are the same the names need not be, but nearly always are.
fn beginning(name: &str) -> u64 {
    let bytes = name.as_bytes().iter().take(7);
    bytes.fold(name.len() as u64, |beginning, byte| beginning << 8 | u64::from(*byte))
}
