use std::fmt;

/// A JSON object that is written exactly as it was put together: members keep their order, may occur twice, and
/// names and values are JSON texts that need not be right.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RawObject {
    members: Vec<Member>,
}

/// The value of a member of a [`RawObject`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RawValue {
    /// A JSON text, or what shall stand in the place of one.
    Text(String),
    /// An object that can be changed member by member.
    Object(RawObject),
}

impl RawObject {
    /// An object without members.
    pub const fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// Takes the members of a JSON object, in alphabetical order of their names; values keep their structure only
    /// as text. `None` when `json` is not an object.
    pub fn from_json(json: &str) -> Option<Self> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
        let mut raw = Self::new();
        for (name, value) in object {
            raw.set(&name, value.to_string());
        }
        Some(raw)
    }

    /// Gives the first member called `name` this JSON text for a value, in its place; adds it at the end when there
    /// is none.
    pub fn set(&mut self, name: &str, json: impl Into<String>) {
        self.put(name, RawValue::Text(json.into()));
    }

    /// [`RawObject::set`] with a JSON string that holds `text`.
    pub fn set_text(&mut self, name: &str, text: &str) {
        self.set(name, quoted(text));
    }

    /// [`RawObject::set`] with an object.
    pub fn set_object(&mut self, name: &str, object: Self) {
        self.put(name, RawValue::Object(object));
    }

    /// Adds a member at the end, whether or not there is one of that name, its name written as the JSON text
    /// `spelling`.
    pub fn add_last(&mut self, spelling: &str, value: RawValue) {
        self.members.push(Member { name: spelling.trim_matches('"').to_owned(), spelling: spelling.to_owned(), value });
    }

    /// Adds a member at the beginning, like [`RawObject::add_last`].
    pub fn add_first(&mut self, spelling: &str, value: RawValue) {
        let name = spelling.trim_matches('"').to_owned();
        self.members.insert(0, Member { name, spelling: spelling.to_owned(), value });
    }

    /// Takes out every member called `name`; false when there was none.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.members.len();
        self.members.retain(|member| member.name != name);
        self.members.len() < before
    }

    /// Writes the name of the first member called `name` as the JSON text `spelling`, for instance with escapes;
    /// false when there is none.
    pub fn spell(&mut self, name: &str, spelling: impl Into<String>) -> bool {
        let member = self.members.iter_mut().find(|member| member.name == name);
        member.map(|member| member.spelling = spelling.into()).is_some()
    }

    /// Turns the order of the members round.
    pub fn reverse(&mut self) {
        self.members.reverse();
    }

    /// The first member called `name`, as it will be written.
    pub fn get(&self, name: &str) -> Option<String> {
        self.members.iter().find(|member| member.name == name).map(|member| member.value.to_string())
    }

    /// The object under the first member called `name`, if it is one.
    pub fn object_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self.members.iter_mut().find(|member| member.name == name).map(|member| &mut member.value) {
            Some(RawValue::Object(object)) => Some(object),
            Some(RawValue::Text(_)) | None => None,
        }
    }

    fn put(&mut self, name: &str, value: RawValue) {
        match self.members.iter_mut().find(|member| member.name == name) {
            Some(member) => member.value = value,
            None => self.add_last(&quoted(name), value),
        }
    }
}

impl fmt::Display for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, member) in self.members.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", member.spelling, member.value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Object(object) => object.fmt(f),
        }
    }
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Member {
    /// What the member is found by.
    name: String,
    /// How its name is written.
    spelling: String,
    value: RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_members_in_order_and_twice_if_told_to() {
        let mut object = RawObject::new();
        object.set_text("htm", "GET");
        object.set("iat", "1e400");
        object.add_first("\"htm\"", RawValue::Text("\"PUT\"".to_owned()));
        assert!(object.spell("iat", r#""\u0069at""#));
        assert_eq!(object.to_string(), r#"{"htm":"PUT","htm":"GET","\u0069at":1e400}"#);
    }

    #[test]
    fn changes_objects_within() {
        let mut header = RawObject::new();
        header.set_object("jwk", RawObject::from_json(r#"{"kty":"EC","x":"A"}"#).unwrap());
        header.object_mut("jwk").unwrap().set_text("d", "");
        assert_eq!(header.to_string(), r#"{"jwk":{"kty":"EC","x":"A","d":""}}"#);
    }

    #[test]
    fn removes_every_member_of_a_name() {
        let mut object = RawObject::from_json(r#"{"a":1,"b":2}"#).unwrap();
        object.add_last("\"a\"", RawValue::Text("3".to_owned()));
        assert!(object.remove("a"));
        assert!(!object.remove("a"));
        assert_eq!(object.to_string(), r#"{"b":2}"#);
    }
}
