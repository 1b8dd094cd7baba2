//! Words of a command as a POSIX shell would see them, without running or filling in anything.

use std::iter::Peekable;
use std::str::Chars;

/// The most words of a command that are looked at.
const MOST_WORDS: usize = 4_096;

/// The words of the first command in `text`, and what follows it. A line end that is neither quoted nor behind a
/// back-slash ends the command; so do `|`, `;`, `&` and redirections.
pub(super) fn first_command(text: &str) -> (Vec<String>, &str) {
    let mut reader = Words { rest: text.chars().peekable(), done: Vec::new(), word: None };
    reader.read();
    let rest: usize = reader.rest.map(char::len_utf8).sum();
    (reader.done, text.get(text.len() - rest..).unwrap_or(""))
}

struct Words<'a> {
    rest: Peekable<Chars<'a>>,
    done: Vec<String>,
    word: Option<String>,
}

impl Words<'_> {
    fn read(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '\'' => self.single(),
                '"' => self.double(),
                '$' if self.rest.next_if_eq(&'\'').is_some() => self.ansi(),
                '\\' | '^' if self.rest.peek() == Some(&'\n') => drop(self.rest.next()),
                '\\' => {
                    if let Some(next) = self.rest.next() {
                        self.push(next);
                    }
                }
                '\n' => break,
                '|' | ';' | '&' | '>' | '<' => {
                    self.skip_line();
                    break;
                }
                ' ' | '\t' | '\r' => self.end(),
                c => self.push(c),
            }
            if self.done.len() >= MOST_WORDS {
                break;
            }
        }
        self.end();
    }

    fn single(&mut self) {
        self.begin();
        while let Some(c) = self.rest.next().filter(|c| *c != '\'') {
            self.push(c);
        }
    }

    fn double(&mut self) {
        self.begin();
        while let Some(c) = self.rest.next().filter(|c| *c != '"') {
            if c != '\\' {
                self.push(c);
                continue;
            }
            match self.rest.next() {
                Some('\n') | None => {}
                Some(c @ ('"' | '\\' | '$' | '`')) => self.push(c),
                Some(c) => {
                    self.push('\\');
                    self.push(c);
                }
            }
        }
    }

    /// `$'…'` as browsers write it; only the escapes that occur there.
    fn ansi(&mut self) {
        self.begin();
        while let Some(c) = self.rest.next().filter(|c| *c != '\'') {
            if c != '\\' {
                self.push(c);
                continue;
            }
            match self.rest.next() {
                Some('n') => self.push('\n'),
                Some('r') => self.push('\r'),
                Some('t') => self.push('\t'),
                Some('u') => self.code_point(4),
                Some('x') => self.code_point(2),
                Some(c) => self.push(c),
                None => {}
            }
        }
    }

    fn code_point(&mut self, most: usize) {
        let mut number = 0;
        for _ in 0..most {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(16)) else { break };
            number = number * 16 + digit;
            self.rest.next();
        }
        self.push(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER));
    }

    fn skip_line(&mut self) {
        while self.rest.next().is_some_and(|c| c != '\n') {}
    }

    fn begin(&mut self) {
        self.word.get_or_insert_default();
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end(&mut self) {
        self.done.extend(self.word.take());
    }
}
