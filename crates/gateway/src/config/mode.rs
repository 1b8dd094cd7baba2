//! `mode`, `proxy`, `trusted_proxies`, and files for TLS to both sides: how the gateway stands among others.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use countersign_forward::UpstreamTls;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::GatewayConfig;
use super::error::Problem;
use super::resolve::Faults;
use crate::assertion::AssertionSettings;
use crate::forward_auth::FrontProxy;
use crate::mode::Mode;
use crate::tls::TlsFiles;

const PROXIES: &str = "nginx, caddy, traefik";

impl GatewayConfig {
    /// True when requests are only judged, never forwarded.
    pub(super) fn only_answers(&self) -> bool {
        self.mode.as_deref().is_some_and(|mode| mode != "proxy")
    }

    pub(super) fn mode(&self, faults: &mut Faults) -> Mode {
        if self.keep_credentials == Some(true) && self.mode.as_deref() != Some("ext-authz") {
            let what = "it is for mode = ext-authz; other proxies are told in their own configuration";
            faults.add("keep_credentials", Problem::Contradiction { other: "this mode", what });
        }
        match self.mode.as_deref() {
            None | Some("proxy") => {
                self.no_other_proxy("mode = proxy", faults);
                Mode::Proxy
            }
            Some("forward-auth") => self.forward_auth(faults),
            Some("ext-authz") => {
                self.no_other_proxy("mode = ext-authz", faults);
                Mode::ExtAuthz {
                    trusted: self.trusted(faults),
                    keep_credentials: self.keep_credentials.unwrap_or_default(),
                }
            }
            Some(value) => {
                let choices = "proxy, forward-auth, ext-authz";
                faults.add("mode", Problem::NotAChoice { value: value.to_owned(), choices });
                Mode::Proxy
            }
        }
    }

    pub(super) fn assertion(&self, directory: &Path, faults: &mut Faults) -> Option<AssertionSettings> {
        if !self.upstream_assertion.unwrap_or_default() {
            return None;
        }
        if self.admin.is_none() && self.upstream_assertion_key_file.is_none() {
            let what = "where the API finds the key of assertions, at /jwks.json; or name a key file";
            faults.add("admin", Problem::Missing { what });
        }
        if self.only_answers() && self.upstream_assertion_audience.is_none() {
            let what = "the API that the assertions are for, like https://api.internal";
            faults.add("upstream_assertion_audience", Problem::Missing { what });
        }
        let key = self.upstream_assertion_key_file.as_ref().map(|path| directory.join(path));
        Some(AssertionSettings { audience: self.upstream_assertion_audience.clone(), key })
    }

    /// Certificate and key are read at the start; here it is seen to that there are both.
    pub(super) fn tls(&self, directory: &Path, faults: &mut Faults) -> Option<TlsFiles> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate: directory.join(certificate), key: directory.join(key) })
            }
            (None, None) => None,
            (Some(_), None) => {
                faults.add("tls_key", Problem::Missing { what: "the file with the certificate's private key" });
                None
            }
            (None, Some(_)) => {
                faults.add("tls_certificate", Problem::Missing { what: "the file with the key's certificate" });
                None
            }
        }
    }

    /// Whom to trust as the upstream, and what to show to it. The files are read now.
    pub(super) fn upstream_tls(&self, directory: &Path, faults: &mut Faults) -> UpstreamTls {
        let mut tls = UpstreamTls::default();
        if let Some(file) = &self.upstream_ca_file {
            let trusting = tls.clone().with_ca_file(&directory.join(file));
            tls = faults.take("upstream_ca_file", trusting.map_err(Problem::from)).unwrap_or(tls);
        }
        match (&self.upstream_certificate, &self.upstream_key) {
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (directory.join(certificate), directory.join(key));
                let showing = tls.clone().with_certificate_files(&certificate, &key);
                faults.take("upstream_certificate", showing.map_err(Problem::from)).unwrap_or(tls)
            }
            (None, None) => tls,
            (Some(_), None) => {
                faults.add("upstream_key", Problem::Missing { what: "the file with the certificate's private key" });
                tls
            }
            (None, Some(_)) => {
                faults.add("upstream_certificate", Problem::Missing { what: "the file with the key's certificate" });
                tls
            }
        }
    }

    fn no_other_proxy(&self, other: &'static str, faults: &mut Faults) {
        if self.proxy.is_some() {
            let what = "say mode = forward-auth, or leave it out";
            faults.add("proxy", Problem::Contradiction { other, what });
        }
    }

    fn forward_auth(&self, faults: &mut Faults) -> Mode {
        let trusted = self.trusted(faults);
        match self.proxy.as_deref().map(|name| (name, name.parse::<FrontProxy>())) {
            Some((_, Ok(proxy))) => return Mode::ForwardAuth { proxy, trusted },
            Some((name, Err(()))) => {
                faults.add("proxy", Problem::NotAChoice { value: name.to_owned(), choices: PROXIES });
            }
            None => faults.add("proxy", Problem::Missing { what: "which proxy asks: nginx, caddy or traefik" }),
        }
        Mode::Proxy
    }

    fn trusted(&self, faults: &mut Faults) -> Vec<IpNet> {
        if self.trusted_proxies.is_empty() {
            let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
            return vec![loopback.into(), Ipv6Net::from(Ipv6Addr::LOCALHOST).into()];
        }
        let mut trusted = Vec::new();
        for value in &self.trusted_proxies {
            let network =
                value.parse::<IpNet>().or_else(|_| value.parse().map(|address: std::net::IpAddr| address.into()));
            match network {
                Ok(network) => trusted.push(network),
                Err(_) => faults.add("trusted_proxies", Problem::Network { value: value.clone() }),
            }
        }
        trusted
    }
}
