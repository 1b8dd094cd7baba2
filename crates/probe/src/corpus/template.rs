use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use countersign_dpop::jose::{decode_base64url, encode_base64url};

use crate::forge::ForgeKey;

/// Fills in `${name}`, `${name:argument}` and `${name|filter}`.
#[derive(Clone)]
pub(super) struct Template<'a> {
    pub(super) now: i64,
    pub(super) key: &'a ForgeKey,
    values: BTreeMap<&'static str, String>,
}

/// Why a template cannot be filled in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the template {template:?} cannot be filled in at {place:?}")]
pub(super) struct TemplateError {
    template: String,
    place: String,
}

impl<'a> Template<'a> {
    pub(super) const fn new(now: i64, key: &'a ForgeKey) -> Self {
        Self { now, key, values: BTreeMap::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.values.insert(name, value.into());
        self
    }

    pub(super) fn fill(&self, template: &str) -> Result<String, TemplateError> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let fault = |place: &str| TemplateError { template: template.to_owned(), place: place.to_owned() };
            let (place, after) = after.split_once('}').ok_or_else(|| fault(after))?;
            filled.push_str(&self.value(place).ok_or_else(|| fault(place))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, place: &str) -> Option<String> {
        let (name, filter) = place.split_once('|').map_or((place, None), |(name, filter)| (name, Some(filter)));
        let value = self.plain_value(name)?;
        filter.map_or(Some(value.clone()), |filter| filtered(&value, filter))
    }

    fn plain_value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.values.get(name) {
            return Some(value.clone());
        }
        if let Some(offset) = name.strip_prefix("now") {
            let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().ok()? };
            return Some((self.now + offset).to_string());
        }
        let (name, argument) = name.split_once(':').unwrap_or((name, ""));
        match name {
            "fill" => Some("x".repeat(argument.parse().ok()?)),
            "hash" => Some(encode_base64url(digest(&SHA256, argument.as_bytes()))),
            "private" => Some(self.key.private_member(argument)?.trim_matches('"').to_owned()),
            "member" => Some(self.key.jwk().get(argument)?.trim_matches('"').to_owned()),
            "jkt" => Some(ForgeKey::named(argument)?.jkt()),
            "jwk" if argument.is_empty() => Some(self.key.jwk().to_string()),
            "jwk" => Some(ForgeKey::named(argument)?.jwk().to_string()),
            "scopes" => Some(scopes(argument.parse().ok()?)),
            _ => None,
        }
    }
}

fn filtered(value: &str, filter: &str) -> Option<String> {
    let bytes = || decode_base64url(value).ok();
    match filter {
        "json" => Some(crate::forge::quoted(value)),
        "swap_case" => Some(swap_case(value)),
        "padded" => Some(format!("{value}{}", "=".repeat((4 - value.len() % 4) % 4))),
        "stray_bits" => crate::forge::with_stray_bits(value),
        "hex" => Some(hex(&bytes()?)),
        "without_first_byte" => Some(encode_base64url(bytes()?.get(1..)?)),
        "zero_in_front" => Some(encode_base64url([vec![0], bytes()?].concat())),
        "bit_changed" => {
            let mut bytes = bytes()?;
            *bytes.last_mut()? ^= 1;
            Some(encode_base64url(bytes))
        }
        "sha512" => Some(encode_base64url(digest(&SHA512, value.as_bytes()))),
        "sha256" => Some(encode_base64url(digest(&SHA256, value.as_bytes()))),
        "with_dpop_in_front" => Some(format!("DPoP {value}")),
        "upper" => Some(value.to_ascii_uppercase()),
        _ => filter.split_once('|').and_then(|(first, rest)| filtered(&filtered(value, first)?, rest)),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Swaps the case of the first letter, which leaves a base64url text canonical.
fn swap_case(text: &str) -> String {
    let first = text.find(|character: char| character.is_ascii_alphabetic());
    let swap = |(index, character): (usize, char)| match character {
        _ if Some(index) != first => character,
        character if character.is_ascii_lowercase() => character.to_ascii_uppercase(),
        character => character.to_ascii_lowercase(),
    };
    text.char_indices().map(swap).collect()
}

fn scopes(count: usize) -> String {
    (0..count).map(|index| format!("s{index}")).collect::<Vec<_>>().join(" ")
}
