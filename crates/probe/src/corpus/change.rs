use serde::Deserialize;

use super::template::{Template, TemplateError};
use crate::forge::{Encoding, ForgeError, JwsForge, RawObject, RawValue, SignatureForm};

/// One change to a right proof or token. Texts are templates (see `vectors/README.md`).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Another key: its `jwk`, its `alg`, and its signature.
    Key(String),
    /// Signed by another key than the header names.
    SignedBy(String),
    /// Another form of signature.
    Signature(SignatureForm),
    /// Gives the first member of that name this JSON text for a value, or adds it.
    Set(Place, String, String),
    /// Takes the members of that name out.
    Remove(Place, String),
    /// Adds a member at the beginning; its name is written as given, between quotes.
    First(Place, String, String),
    /// Adds a member at the end; its name is written as given, between quotes.
    Last(Place, String, String),
    /// Writes the name of a member as given, between quotes.
    Spell(Place, String, String),
    /// Turns the order of the members round.
    Reverse(Place),
    /// Another text in the place of the JSON; `${it}` is the right one.
    Text(Part, String),
    /// Another encoding.
    Encoding(Part, Encoding),
    /// Changes made after signing.
    Late(Vec<Change>),
    /// Another composition of `${header}`, `${payload}` and `${signature}`.
    Compact(String),
    /// Filled up with an unknown claim to so many bytes in all.
    Length(usize),
    /// The whole text.
    Literal(String),
}

/// An object whose members can be changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The JOSE header.
    Header,
    /// The claims.
    Claims,
    /// The `jwk` in the header of a proof.
    Jwk,
    /// The `cnf` in the claims of a token.
    Cnf,
}

/// A part of a compact JWS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Payload,
    /// The third.
    Signature,
}

/// Why a change could not be made. The case is at fault, not the server.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    /// There is no such key, member or object.
    #[error("there is no {0}")]
    Absent(String),
    /// The change has no place there.
    #[error("{0} cannot be changed so")]
    Misplaced(&'static str),
    /// A template cannot be filled in.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The forge cannot make it.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl Change {
    /// Makes the change in header, claims or encoding. Changes that concern key, signature or the whole text are
    /// made elsewhere and pass here without effect.
    pub(super) fn apply(&self, forge: &mut JwsForge, template: &Template<'_>) -> Result<(), ChangeError> {
        match self {
            Self::Set(place, name, json) => {
                let json = template.fill(json)?;
                place.of(forge)?.set(name, json);
            }
            Self::Remove(place, name) => {
                if !place.of(forge)?.remove(name) {
                    return Err(ChangeError::Absent(name.clone()));
                }
            }
            Self::First(place, name, json) => {
                let json = template.fill(json)?;
                place.of(forge)?.add_first(&format!("\"{name}\""), RawValue::Text(json));
            }
            Self::Last(place, name, json) => {
                let json = template.fill(json)?;
                place.of(forge)?.add_last(&format!("\"{name}\""), RawValue::Text(json));
            }
            Self::Spell(place, name, spelling) => {
                if !place.of(forge)?.spell(name, format!("\"{spelling}\"")) {
                    return Err(ChangeError::Absent(name.clone()));
                }
            }
            Self::Reverse(place) => place.of(forge)?.reverse(),
            Self::Text(part, text) => replace_text(forge, *part, text, template)?,
            Self::Encoding(part, encoding) => match part {
                Part::Header => forge.header_encoding = *encoding,
                Part::Payload => forge.payload_encoding = *encoding,
                Part::Signature => forge.signature_encoding = *encoding,
            },
            Self::Length(length) => fill_to(forge, *length)?,
            Self::Key(_)
            | Self::SignedBy(_)
            | Self::Signature(_)
            | Self::Late(_)
            | Self::Compact(_)
            | Self::Literal(_) => {}
        }
        Ok(())
    }
}

impl Place {
    fn of(self, forge: &mut JwsForge) -> Result<&mut RawObject, ChangeError> {
        let absent = |name: &str| ChangeError::Absent(name.to_owned());
        match self {
            Self::Header => Ok(&mut forge.header),
            Self::Claims => Ok(&mut forge.claims),
            Self::Jwk => forge.header.object_mut("jwk").ok_or_else(|| absent("jwk")),
            Self::Cnf => forge.claims.object_mut("cnf").ok_or_else(|| absent("cnf")),
        }
    }
}

fn replace_text(forge: &mut JwsForge, part: Part, text: &str, template: &Template<'_>) -> Result<(), ChangeError> {
    let filled = |it: String| template.clone().with("it", it).fill(text);
    match part {
        Part::Header => forge.header_text = Some(filled(forge.header.to_string())?),
        Part::Payload => forge.claims_text = Some(filled(forge.claims.to_string())?),
        Part::Signature => return Err(ChangeError::Misplaced("a signature")),
    }
    Ok(())
}

/// base64url cannot have every length, so blanks in the header make up for what a claim cannot.
fn fill_to(forge: &mut JwsForge, length: usize) -> Result<(), ChangeError> {
    // What the signature of an EC key on P-256 or of an Ed25519 key adds, with its dot.
    const SIGNATURE: usize = 87;
    for blanks in 0..4 {
        forge.header_text = Some(format!("{}{}", forge.header, " ".repeat(blanks)));
        forge.claims.set_text("fill", "");
        let bare = forge.signing_input()?.len() + SIGNATURE;
        let room = length.saturating_sub(bare) / 4 * 3;
        for filling in room.saturating_sub(4)..room + 4 {
            forge.claims.set_text("fill", &"x".repeat(filling));
            if forge.signing_input()?.len() + SIGNATURE == length {
                return Ok(());
            }
        }
    }
    Err(ChangeError::Misplaced("the length of a proof"))
}
