//! A user at a browser, as far as the pages need one.

use std::collections::BTreeMap;

use crate::client::{Client, Lost, challenge, encode};
use crate::server::{CALLBACK, PASSWORD, USERNAME};

/// Keeps cookies, fills in forms, follows nothing by itself.
pub(crate) struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

struct Page {
    status: u16,
    text: String,
    location: Option<String>,
}

impl Browser {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client, cookies: BTreeMap::new() }
    }

    /// Signs in where that is needed and allows `client_id` what it asks for; the code.
    pub(crate) async fn allow(&mut self, server: &str, client_id: &str) -> Result<String, Lost> {
        let challenge = challenge();
        let query = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", CALLBACK),
            ("scope", "read"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let path = format!("/authorize?{}", encode(&query.map(|(name, value)| (name.to_owned(), value.to_owned()))));
        let consent = self.signed_in(server, &path).await?;
        let back = self.press(server, &consent, "approve").await?;
        let location = back.location.unwrap_or_else(|| panic!("no way back: {} {}", back.status, back.text));
        let code = location.split(['?', '&']).find_map(|parameter| parameter.strip_prefix("code="));
        Ok(code.unwrap_or_else(|| panic!("no code in {location}")).to_owned())
    }

    /// Signs in where that is needed and allows the device that shows the code.
    pub(crate) async fn allow_device(&mut self, server: &str, user_code: &str) -> Result<(), Lost> {
        let asked = self.signed_in(server, &format!("/device?user_code={user_code}")).await?;
        let confirm = self.press(server, &asked, "lookup").await?;
        let done = self.press(server, &confirm, "approve").await?;
        assert_eq!(done.status, 200, "{}", done.text);
        Ok(())
    }

    async fn signed_in(&mut self, server: &str, path: &str) -> Result<Page, Lost> {
        let page = self.visit(server, path, None).await?;
        if !page.text.contains("id=\"login\"") {
            return Ok(page);
        }
        let entered = self.press(server, &page, "login").await?;
        assert_eq!(entered.status, 303, "{}", entered.text);
        self.visit(server, path, None).await
    }

    /// Sends the form of a page as one does who presses the button of this name.
    async fn press(&mut self, server: &str, page: &Page, button: &str) -> Result<Page, Lost> {
        let form = page.text.split("<form").find(|form| form.contains(&format!("value=\"{button}\"")));
        let form = form.unwrap_or_else(|| panic!("no {button} on {} {}", page.status, page.text));
        let mut fields: Vec<(String, String)> = form
            .split("<input ")
            .skip(1)
            .map(|input| match attribute(input, "name").unwrap_or_default() {
                name if name == "username" => (name, USERNAME.to_owned()),
                name if name == "password" => (name, PASSWORD.to_owned()),
                name => (name, attribute(input, "value").unwrap_or_default()),
            })
            .collect();
        fields.push(("action".to_owned(), button.to_owned()));
        let target = attribute(form, "action").unwrap();
        self.visit(server, &target, Some(encode(&fields))).await
    }

    async fn visit(&mut self, server: &str, path: &str, form: Option<String>) -> Result<Page, Lost> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = format!("{server}{path}");
        let request = match form {
            None => self.client.http().get(url),
            Some(form) => {
                self.client.http().post(url).header("content-type", "application/x-www-form-urlencoded").body(form)
            }
        };
        let answer = request.header("cookie", cookies.join("; ")).send().await.map_err(|_| Lost::Gone)?;
        for field in answer.headers().get_all("set-cookie") {
            let cookie = field.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let says_when = answer.headers().contains_key("retry-after");
        let text = answer.text().await.map_err(|_| Lost::Gone)?;
        if status == 503 {
            assert!(says_when, "503 without a word when to come again");
            Err(Lost::Away)
        } else {
            Ok(Page { status, text, location })
        }
    }
}

/// An attribute's value, as a browser understands it.
fn attribute(text: &str, name: &str) -> Option<String> {
    let start = text.find(&format!("{name}=\""))? + name.len() + 2;
    let value = text[start..].split('"').next()?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&"))
}
