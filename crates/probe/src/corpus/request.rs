use std::fmt;

/// A request made by the forge. Field values may be any bytes; whether they can be sent is for the carrier.
#[derive(Clone, Eq, PartialEq)]
pub struct ForgedRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Host and port asked for.
    pub authority: String,
    /// Every field but `Host`, in order.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Fields after the body.
    pub trailers: Vec<(String, String)>,
    /// To be sent over HTTP/2.
    pub http2: bool,
}

impl ForgedRequest {
    /// The values of the fields called `name`, in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.as_str())
    }
}

impl fmt::Debug for ForgedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.iter().map(|field| field.0.as_str()).collect();
        f.debug_struct("ForgedRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}
