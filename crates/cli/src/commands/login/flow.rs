//! The ways to log in.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use countersign_client::{Login, LoginError, Session, SubjectToken, SubjectTokenType};

use crate::browser::Browser;
use crate::error::CommandError;
use crate::input;
use crate::render::{self, NAME, styled};

/// Which way to log in; a browser on this machine otherwise.
#[derive(Debug, Args)]
pub(crate) struct Flow {
    /// Log in on another device, by a code
    #[arg(long, conflicts_with_all = ["client_credentials", "exchange"])]
    device: bool,
    /// Log in as the client itself, without a person
    #[arg(long, conflicts_with = "exchange")]
    client_credentials: bool,
    /// Exchange the token in this file (- for standard input) for one that is bound to the key
    #[arg(long, value_name = "FILE")]
    exchange: Option<PathBuf>,
    /// What the token of --exchange is
    #[arg(long, value_name = "TYPE", default_value = "access_token", value_parser = subject_type)]
    exchange_type: SubjectTokenType,
    /// Command that opens the page to log in; its address is added as the last argument
    #[arg(long, value_name = "CMD", env = "COUNTERSIGN_BROWSER")]
    browser: Option<String>,
    /// Print the address of the page to log in and open nothing
    #[arg(long, conflicts_with = "browser")]
    no_browser: bool,
    /// How long to wait for the person, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

impl Flow {
    /// Logs in; the inner error is an answer of the servers.
    pub(super) async fn run(&self, login: &Login) -> Result<Result<Session, LoginError>, CommandError> {
        if self.device {
            return Ok(by_device(login).await);
        }
        if self.client_credentials {
            return Ok(login.by_client_credentials().await);
        }
        if let Some(file) = &self.exchange {
            let subject = SubjectToken { token: read_token(file)?, kind: self.exchange_type };
            return Ok(login.by_exchange(&subject).await);
        }
        let browser = Browser::of(self.browser.clone(), self.no_browser);
        Ok(login.by_code(Duration::from_secs(self.timeout), |url| browser.visit(url)).await)
    }
}

async fn by_device(login: &Login) -> Result<Session, LoginError> {
    let mut device = login.authorize_device().await?;
    let page = device.verification_uri_complete().unwrap_or(device.verification_uri());
    render::status(format_args!("to log in, open this page on any device:\n  {}", styled(NAME, page)));
    render::status(format_args!("and enter the code\n  {}", styled(NAME, device.user_code())));
    loop {
        tokio::time::sleep(device.interval()).await;
        if let Some(session) = login.poll_device(&mut device).await? {
            return Ok(session);
        }
    }
}

fn read_token(file: &std::path::Path) -> Result<secrecy::SecretString, CommandError> {
    let bytes = input::read_secret(file, "token")?;
    let text = str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("{} holds no token", file.display());
        return Err(CommandError::configuration(message).with_hint("one token, as it is, and nothing else"));
    }
    Ok(text.into())
}

fn subject_type(text: &str) -> Result<SubjectTokenType, String> {
    match text {
        "access_token" => Ok(SubjectTokenType::AccessToken),
        "id_token" => Ok(SubjectTokenType::IdToken),
        "jwt" => Ok(SubjectTokenType::Jwt),
        _ => Err("one of access_token, id_token, jwt".to_owned()),
    }
}
