//! A pasted curl command. It is read, never run: no file is opened and no variable filled in.

use std::vec::IntoIter;

use super::exchange::{Exchange, method};
use super::{Capture, Form, fields, http, words};

/// Reads a curl command, and the answer if curl's output follows it. Output with the marks of `-v` tells more than
/// the command, so then the output is read.
pub(super) fn read(text: &str) -> Option<Capture> {
    let command = text.trim_start();
    let command = ["$ ", "% ", "# "].iter().find_map(|prompt| command.strip_prefix(prompt)).unwrap_or(command);
    let (words, output) = words::first_command(command);
    let mut words = words.into_iter();
    if !matches!(words.next()?.rsplit(['/', '\\']).next()?, "curl" | "curl.exe") {
        return None;
    }
    let answer = http::read(output.trim_start());
    match answer {
        Some(answer) if answer.exchange.method.is_some() => return Some(answer),
        Some(_) | None => {}
    }
    let mut exchange = Command::default().read(words);
    if let Some(answer) = answer {
        (exchange.status, exchange.response) = (answer.exchange.status, answer.exchange.response);
    }
    let notes = fields::notes(&exchange);
    Some(Capture::new(Form::Curl, exchange, notes))
}

/// A command as it is read.
#[derive(Default)]
struct Command {
    exchange: Exchange,
    url: Option<String>,
    has_data: bool,
    /// By an option other than `-X`.
    implied: Option<&'static str>,
}

impl Command {
    fn read(mut self, mut words: IntoIter<String>) -> Exchange {
        let mut options_end = false;
        while let Some(word) = words.next() {
            if word == "--" {
                options_end = true;
            } else if word == "--next" || word == "-:" {
                break;
            } else if let Some(name) = word.strip_prefix("--").filter(|_| !options_end) {
                self.take_long(name, &mut words);
            } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !options_end && !rest.is_empty()) {
                self.take_short(letters, &mut words);
            } else {
                self.take_url(&word);
            }
        }
        self.finish()
    }

    fn take_long(&mut self, name: &str, words: &mut IntoIter<String>) {
        match name {
            "get" => self.implied = Some("GET"),
            "head" => self.implied = Some("HEAD"),
            name if LONG_WITH_VALUE.contains(&name) => {
                let value = words.next().unwrap_or_default();
                self.take_value(name, &value);
            }
            _ => {}
        }
    }

    /// Letters may be joined, and the value of the last may follow without a blank.
    fn take_short(&mut self, letters: &str, words: &mut IntoIter<String>) {
        for (at, letter) in letters.char_indices() {
            match letter {
                'G' => self.implied = Some("GET"),
                'I' => self.implied = Some("HEAD"),
                letter if SHORT_WITH_VALUE.contains(letter) => {
                    let joined = letters.get(at + letter.len_utf8()..).unwrap_or("");
                    let value = if joined.is_empty() { words.next().unwrap_or_default() } else { joined.to_owned() };
                    return self.take_value(long_name(letter), &value);
                }
                _ => {}
            }
        }
    }

    fn take_value(&mut self, name: &str, value: &str) {
        match name {
            "header" => self.take_field(value),
            "request" => self.exchange.method = method(value),
            "url" => self.take_url(value),
            "oauth2-bearer" => fields::add(&mut self.exchange.request, "authorization", &format!("Bearer {value}")),
            "user" => self.exchange.request.add("authorization", "Basic [user]"),
            "cookie" => self.exchange.request.add("cookie", value),
            "upload-file" => self.implied = Some("PUT"),
            "form" | "form-string" => self.has_data = true,
            "json" => self.take_data(value, "application/json"),
            name if name.starts_with("data") => self.take_data(value, "application/x-www-form-urlencoded"),
            _ => {}
        }
    }

    /// `Name: value`; `Name;` sends an empty field, `Name:` none.
    fn take_field(&mut self, line: &str) {
        match fields::split(line.trim_start()) {
            Some((name, value)) if !value.is_empty() => fields::add(&mut self.exchange.request, &name, value),
            Some(_) => {}
            None => match line.strip_suffix(';') {
                Some(name) => self.exchange.request.add(name, ""),
                None => self.exchange.request.skipped += 1,
            },
        }
    }

    fn take_data(&mut self, value: &str, content_type: &str) {
        let message = &mut self.exchange.request;
        if !message.body.is_empty() {
            message.body.push('&');
        }
        message.body.push_str(value);
        if !self.has_data && !message.fields.contains_key("content-type") {
            message.add("content-type", content_type);
        }
        self.has_data = true;
    }

    /// The first word that names a scheme wins over one that does not.
    fn take_url(&mut self, word: &str) {
        let is_better = |known: &String| !known.contains("://") && word.contains("://");
        if self.url.as_ref().is_none_or(is_better) {
            self.url = Some(word.to_owned());
        }
    }

    fn finish(mut self) -> Exchange {
        let by_data = if self.has_data { "POST" } else { "GET" };
        if self.implied == Some("GET") {
            // The data go into the query.
            self.exchange.request.body.clear();
        }
        self.exchange.method.get_or_insert_with(|| self.implied.unwrap_or(by_data).to_owned());
        // curl takes http where no scheme is named, and gives a URL without a path the path /.
        self.exchange.target = self.url.map(|url| if url.contains("://") { url } else { format!("http://{url}") });
        self.exchange
    }
}

const SHORT_WITH_VALUE: &str = "ACDEFHKPQTUXbcdehmortuwxyYz";

fn long_name(letter: char) -> &'static str {
    match letter {
        'F' => "form",
        'H' => "header",
        'T' => "upload-file",
        'X' => "request",
        'b' => "cookie",
        'd' => "data",
        'u' => "user",
        _ => "",
    }
}

/// Options that take a value, so that it is not read as a URL.
const LONG_WITH_VALUE: &[&str] = &[
    "aws-sigv4",
    "cacert",
    "capath",
    "cert",
    "cert-type",
    "ciphers",
    "config",
    "connect-timeout",
    "connect-to",
    "cookie",
    "cookie-jar",
    "curves",
    "data",
    "data-ascii",
    "data-binary",
    "data-raw",
    "data-urlencode",
    "dns-servers",
    "doh-url",
    "dump-header",
    "expect100-timeout",
    "form",
    "form-string",
    "haproxy-clientip",
    "header",
    "interface",
    "json",
    "keepalive-time",
    "key",
    "key-type",
    "limit-rate",
    "local-port",
    "max-filesize",
    "max-redirs",
    "max-time",
    "netrc-file",
    "noproxy",
    "oauth2-bearer",
    "output",
    "output-dir",
    "parallel-max",
    "pass",
    "pinnedpubkey",
    "preproxy",
    "proto",
    "proto-default",
    "proto-redir",
    "proxy",
    "proxy-header",
    "proxy-user",
    "range",
    "rate",
    "referer",
    "request",
    "request-target",
    "resolve",
    "retry",
    "retry-delay",
    "retry-max-time",
    "socks5",
    "socks5-hostname",
    "speed-limit",
    "speed-time",
    "stderr",
    "time-cond",
    "tls-max",
    "tls13-ciphers",
    "trace",
    "trace-ascii",
    "trace-config",
    "unix-socket",
    "upload-file",
    "url",
    "url-query",
    "user",
    "user-agent",
    "variable",
    "write-out",
];
