//! Which operations a route lets through, and at what scopes.

use countersign_dpop::error::McpError;

use crate::config::{McpName, McpSettings};

/// The rules of one route.
#[derive(Debug)]
pub(super) struct Rules {
    methods: Option<Vec<String>>,
    tools: Option<Vec<McpName>>,
    prompts: Option<Vec<McpName>>,
    resources: Option<Vec<McpName>>,
}

impl Rules {
    pub(super) fn new(settings: &McpSettings) -> Self {
        Self {
            methods: settings.methods.clone(),
            tools: settings.tools.clone(),
            prompts: settings.prompts.clone(),
            resources: settings.resources.clone(),
        }
    }

    /// The scopes that calling `method` for `name` takes beside those of the route.
    ///
    /// # Errors
    /// The route does not let it through at all.
    pub(super) fn scopes(&self, method: &str, name: Option<&str>) -> Result<&[String], McpError> {
        if !self.allows(method) {
            return Err(McpError::NotAllowed);
        }
        let list = match method {
            "tools/call" => &self.tools,
            "prompts/get" => &self.prompts,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => &self.resources,
            _ => return Ok(&[]),
        };
        match (list, name) {
            (None, _) => Ok(&[]),
            (Some(list), Some(name)) => find(list, name).map(|entry| &*entry.scopes).ok_or(McpError::NotAllowed),
            (Some(_), None) => Err(McpError::NotAllowed),
        }
    }

    /// True when the method is one of the list, or there is no list. What only opens, keeps or closes a conversation is
    /// on every list.
    fn allows(&self, method: &str) -> bool {
        let Some(methods) = &self.methods else { return true };
        let covers = |rule: &String| match rule.strip_suffix('*') {
            Some(prefix) => method.starts_with(prefix),
            None => rule == method,
        };
        matches!(method, "initialize" | "ping" | "server/discover")
            || method.starts_with("notifications/")
            || methods.iter().any(covers)
    }
}

/// The entry of that name, else the longest that it begins with.
fn find<'a>(list: &'a [McpName], name: &str) -> Option<&'a McpName> {
    let exact = list.iter().find(|entry| !entry.is_prefix && entry.name == name);
    let begins = || list.iter().filter(|entry| entry.is_prefix && name.starts_with(&entry.name));
    exact.or_else(|| begins().max_by_key(|entry| entry.name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, scopes: &[&str]) -> McpName {
        let (plain, is_prefix) = name.strip_suffix('*').map_or((name, false), |plain| (plain, true));
        McpName { name: plain.to_owned(), is_prefix, scopes: scopes.iter().map(ToString::to_string).collect() }
    }

    fn rules(methods: Option<&[&str]>, tools: Option<Vec<McpName>>) -> Rules {
        let methods = methods.map(|methods| methods.iter().map(ToString::to_string).collect());
        Rules::new(&McpSettings { methods, tools, ..McpSettings::default() })
    }

    #[test]
    fn without_lists_everything_passes() {
        let rules = rules(None, None);
        for (method, name) in [("tools/call", Some("any")), ("anything/new", None), ("resources/read", Some("x:y"))] {
            assert_eq!(rules.scopes(method, name), Ok(&[][..]), "{method}");
        }
    }

    #[test]
    fn a_list_of_methods_lets_through_what_is_on_it_and_what_keeps_a_conversation() {
        let rules = rules(Some(&["tools/call", "resources/*"]), None);
        for method in
            ["tools/call", "resources/read", "initialize", "ping", "server/discover", "notifications/cancelled"]
        {
            assert_eq!(rules.scopes(method, Some("x")), Ok(&[][..]), "{method}");
        }
        for method in ["tools/list", "Tools/call", "tools/call ", "prompts/get", "resources", "initialize2", ""] {
            assert_eq!(rules.scopes(method, Some("x")), Err(McpError::NotAllowed), "{method}");
        }
    }

    #[test]
    fn a_tool_takes_the_scopes_of_its_entry_and_one_that_has_none_is_refused() {
        let tools = vec![
            name("read_ledger", &["ledger:read"]),
            name("write_*", &["ledger:write"]),
            name("write_report", &[]),
            name("write_all_*", &["admin"]),
        ];
        let rules = rules(None, Some(tools));
        let scopes = |tool| rules.scopes("tools/call", tool).map(|scopes| scopes.join(" "));
        assert_eq!(scopes(Some("read_ledger")).as_deref(), Ok("ledger:read"));
        assert_eq!(scopes(Some("write_ledger")).as_deref(), Ok("ledger:write"));
        assert_eq!(scopes(Some("write_report")).as_deref(), Ok(""), "the exact name counts");
        assert_eq!(scopes(Some("write_all_1")).as_deref(), Ok("admin"), "the longest beginning counts");
        for other in [Some("read"), Some("READ_LEDGER"), Some("read_ledger "), Some(""), None] {
            assert_eq!(scopes(other), Err(McpError::NotAllowed), "{other:?}");
        }
        assert_eq!(rules.scopes("tools/list", None), Ok(&[][..]));
    }

    #[test]
    fn an_empty_list_lets_no_tool_through() {
        assert_eq!(rules(None, Some(vec![])).scopes("tools/call", Some("x")), Err(McpError::NotAllowed));
        assert!(rules(None, Some(vec![name("*", &[])])).scopes("tools/call", Some("x")).is_ok());
    }
}
