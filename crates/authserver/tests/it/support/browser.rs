//! A browser as far as the pages need one: it keeps cookies, fills in forms and follows nothing by itself.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Request, header};

use super::{Answer, ISSUER, World, form_encode};

#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, world: &World, path: &str) -> Answer {
        let request = Request::get(path).header(header::COOKIE, self.cookie_field());
        let answer = world.send_raw(request.body(Body::empty()).unwrap()).await;
        self.keep(&answer);
        answer
    }

    /// Sends the first form of `page` as a browser would that pressed the button of this name.
    pub(crate) async fn press(&mut self, world: &World, page: &Answer, button: &str, typed: &[(&str, &str)]) -> Answer {
        let request = self.form(page, button, typed);
        self.send(world, request).await
    }

    pub(crate) async fn send(&mut self, world: &World, request: Request<Body>) -> Answer {
        let answer = world.send_raw(request).await;
        self.keep(&answer);
        answer
    }

    pub(crate) fn form(&self, page: &Answer, button: &str, typed: &[(&str, &str)]) -> Request<Body> {
        let form = page.text.split("<form").find(|form| form.contains(&format!("value=\"{button}\""))).expect("a form");
        let mut fields: Vec<(String, String)> = form
            .split("<input type=\"hidden\"")
            .skip(1)
            .map(|input| (attribute(input, "name"), attribute(input, "value")))
            .collect();
        fields.extend(typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        fields.push(("action".to_owned(), button.to_owned()));
        let pair = |(name, value): &(String, String)| format!("{}={}", form_encode(name), form_encode(value));
        let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
        Request::post(attribute(form, "action"))
            .header(header::COOKIE, self.cookie_field())
            .header(header::ORIGIN, ISSUER)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap()
    }

    fn cookie_field(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for field in answer.headers.get_all(header::SET_COOKIE) {
            let field = field.to_str().unwrap();
            let (name, value) = field.split(';').next().unwrap().split_once('=').unwrap();
            if field.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// An attribute's value, as the browser understands it.
#[track_caller]
pub(crate) fn attribute(text: &str, name: &str) -> String {
    let start = text.find(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {text}")) + name.len() + 2;
    let value = &text[start..start + text[start..].find('"').unwrap()];
    [("&#38;", "&"), ("&amp;", "&"), ("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'")]
        .iter()
        .fold(value.to_owned(), |value, (escaped, plain)| value.replace(escaped, plain))
}
