//! `application/x-www-form-urlencoded` as RFC 6749 appendix B wants it.

use zeroize::Zeroizing;

/// A form in the making. It knows which of its values are secret, so that nobody repeats them.
#[derive(Clone, Default)]
pub(crate) struct Form {
    text: Zeroizing<String>,
    secrets: Vec<Zeroizing<String>>,
}

impl Form {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.push_str(&percent_encode(name));
        self.text.push('=');
        self.text.push_str(&percent_encode(value));
    }

    pub(crate) fn add_secret(&mut self, name: &str, value: &str) {
        self.add(name, value);
        self.secrets.push(Zeroizing::new(value.to_owned()));
    }

    pub(crate) fn add_optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Both forms in one.
    pub(crate) fn join(mut self, other: Self) -> Self {
        if !self.text.is_empty() && !other.text.is_empty() {
            self.text.push('&');
        }
        self.text.push_str(&other.text);
        self.secrets.extend(other.secrets);
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_secrets(self) -> Vec<Zeroizing<String>> {
        self.secrets
    }
}

/// Everything but unreserved characters (RFC 3986 §2.3) is encoded; a decoder of forms reads that the same.
pub(crate) fn percent_encode(text: &str) -> Zeroizing<String> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // Room for the longest result, so that nothing secret is left behind by growing.
    let mut encoded = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_a_form_cannot_hold() {
        assert_eq!(*percent_encode("a-b._~9"), "a-b._~9");
        assert_eq!(*percent_encode("a b&c=d+e%é"), "a%20b%26c%3Dd%2Be%25%C3%A9");
    }

    #[test]
    fn joins_members() {
        let mut form = Form::default();
        form.add("grant_type", "client_credentials");
        form.add("scope", "read write");
        assert_eq!(form.as_bytes(), b"grant_type=client_credentials&scope=read%20write");
    }
}
