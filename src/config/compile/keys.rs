//! `issuers[].keys`: where an issuer's keys come from. No source is read here but those that are part of the
//! configuration, which are [`super::documents`]' part.

use url::Url;

use super::Compiler;
use crate::config::raw::{RawKeySource, RawRefresh};
use crate::config::report::{Path, quote};
use crate::config::scalar::{List, Mapping, RawDiscovery, Text};
use crate::keys::key::MAX_KID_BYTES;
use crate::keys::source::command::{Command, SEARCH_PATH};
use crate::keys::source::discovery::Discovery;
use crate::keys::source::{HmacFile, SourceKind, SourceSettings, UrlError, key_url};
use crate::keys::store::SourceId;
use crate::token::{Issuer, IssuerName};
use crate::util::label::Label;

const KINDS: &str =
    "one of jwks_url, discovery, jwks_file, pem_file, command, jwks_env, jwks, hmac_file";

type RawKeys = (Option<List<Mapping<RawKeySource>>>, Option<Mapping<RawRefresh>>);

impl Compiler<'_> {
    /// The key sources of one issuer.
    pub(super) fn sources(
        &mut self,
        path: &Path,
        (keys, refresh): RawKeys,
        issuer: &Issuer,
    ) -> Vec<SourceSettings> {
        let refresh_path = path.key("refresh");
        let refresh = self.refresh(&refresh_path, refresh);
        let path = path.key("keys");
        let Some(List(list)) = keys else {
            self.report.missing(&path, format!("a list with at least {KINDS}"));
            return Vec::new();
        };
        self.not_empty(&path, list.len(), &format!("a list with at least {KINDS}"));
        let mut sources = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let Some(kind) = self.source(&path.index(index), raw, issuer) else { continue };
            self.check_bearer(&refresh_path, &refresh.http, &kind);
            let source = Label::new(index, &index.to_string());
            sources.push(SourceSettings {
                id: SourceId { issuer: issuer.label.clone(), source },
                kind,
                refresh: refresh.clone(),
                algorithms: issuer.algorithms,
                max_keys: self.limits.jwks_keys,
                max_bytes: self.limits.jwks_bytes,
            });
        }
        sources
    }

    fn source(&mut self, path: &Path, raw: RawKeySource, issuer: &Issuer) -> Option<SourceKind> {
        let kinds = [
            ("jwks_url", raw.jwks_url.is_some()),
            ("discovery", raw.discovery.is_some()),
            ("jwks_file", raw.jwks_file.is_some()),
            ("pem_file", raw.pem_file.is_some()),
            ("command", raw.command.is_some()),
            ("jwks_env", raw.jwks_env.is_some()),
            ("jwks", raw.jwks.is_some()),
            ("hmac_file", raw.hmac_file.is_some()),
        ];
        let given: Vec<&str> =
            kinds.iter().filter(|(_, given)| *given).map(|(kind, _)| *kind).collect();
        if given.len() > 1 {
            let expected = "exactly one: write each source as an entry of its own";
            self.report.wrong(path, given.join(" and "), expected);
            return None;
        }
        if raw.kid.is_some() && raw.pem_file.is_none() && raw.hmac_file.is_none() {
            let expected = "a kid only beside pem_file or hmac_file: a JWK brings its own";
            self.report.wrong(&path.key("kid"), "one beside another kind of source", expected);
        }
        if raw.command_env.is_some() && raw.command.is_none() {
            let path = path.key("command_env");
            self.report.wrong(&path, "one without a command", "it only beside command");
        }
        if let Some(url) = raw.jwks_url {
            self.url(&path.key("jwks_url"), &url).map(SourceKind::Url)
        } else if let Some(Text(discovery)) = raw.discovery {
            self.discovery(&path.key("discovery"), discovery, issuer).map(SourceKind::Discovery)
        } else if let Some(file) = raw.jwks_file {
            Some(SourceKind::File(self.file(&path.key("jwks_file"), &file, "a JWK Set file")))
        } else if let Some(file) = raw.pem_file {
            let file = self.file(&path.key("pem_file"), &file, "a PEM file of public keys");
            self.kid(&path.key("kid"), raw.kid.as_deref());
            Some(SourceKind::Pem { path: file, kid: raw.kid })
        } else if let Some(command) = raw.command {
            self.command(path, command, raw.command_env).map(SourceKind::Command)
        } else if let Some(name) = raw.jwks_env {
            self.environment(&path.key("jwks_env"), name, issuer)
        } else if let Some(jwks) = raw.jwks {
            self.inline(&path.key("jwks"), &jwks, issuer)
        } else if let Some(file) = raw.hmac_file {
            // Whether the issuer accepts HS256 at all is told with its algorithms.
            let file = self.file(&path.key("hmac_file"), &file, "a file with a shared secret");
            self.kid(&path.key("kid"), raw.kid.as_deref());
            let must_be_private = self.is_production();
            Some(SourceKind::Hmac(HmacFile { path: file, kid: raw.kid, must_be_private }))
        } else {
            if !self.report.has_in(path) {
                self.report.missing(path, KINDS);
            }
            None
        }
    }

    fn discovery(&mut self, path: &Path, raw: RawDiscovery, issuer: &Issuer) -> Option<Discovery> {
        let IssuerName::Exact(name) = &issuer.issuer else {
            let expected =
                "jwks_url, since the metadata of a provider with tenants names no one of them";
            self.report.wrong(path, "discovery", expected);
            return None;
        };
        match raw {
            RawDiscovery::At(text) => {
                let url = self.url(path, &text)?;
                Some(Discovery::at(url, name))
            }
            // That there is no issuer has been said where it belongs.
            RawDiscovery::OfIssuer if name.is_empty() => None,
            RawDiscovery::OfIssuer => {
                let discovery = Discovery::of_issuer(name, !self.is_production());
                if discovery.is_err() {
                    let found = format!("true for the issuer {}", quote(name));
                    let expected = "an issuer that is an https URL (http only in profile: development), \
                                    or the URL of its discovery document";
                    self.report.wrong(path, found, expected);
                }
                discovery.ok()
            }
        }
    }

    fn kid(&mut self, path: &Path, kid: Option<&str>) {
        let found = match kid {
            Some("") => "an empty string".to_owned(),
            Some(kid) if kid.len() > MAX_KID_BYTES => format!("{} bytes", kid.len()),
            Some(_) | None => return,
        };
        self.report.wrong(path, found, format!("1 to {MAX_KID_BYTES} bytes"));
    }

    fn command(
        &mut self,
        path: &Path,
        List(argv): List<String>,
        inherits: Option<List<String>>,
    ) -> Option<Command> {
        let inherits = inherits.map(|List(list)| list).unwrap_or_default();
        let inherits = self.strings(&path.key("command_env"), inherits);
        for (index, name) in inherits.iter().enumerate() {
            let path = path.key("command_env").index(index);
            if (self.environment)(name).is_none() && !self.report.has(&path) {
                let expected = "the name of an environment variable that is set";
                self.report.wrong(&path, quote(name), expected);
            }
        }
        let path = path.key("command");
        self.not_empty(&path, argv.len(), "a program and its arguments, each an element");
        let is_whole = argv.iter().all(Option::is_some);
        let mut argv = argv.into_iter().flatten();
        let program = argv.next()?;
        if program.is_empty() || program.contains('/') && !program.starts_with('/') {
            let expected = format!("an absolute path, or a name to look for in {SEARCH_PATH}");
            self.report.wrong(&path.index(0), quote(&program), expected);
        }
        is_whole.then(|| Command::new(program, argv.collect(), inherits))
    }

    fn url(&mut self, path: &Path, text: &str) -> Option<Url> {
        let (found, expected) = match key_url(text, !self.is_production()) {
            Ok(url) => return Some(url),
            Err(UrlError::NotHttps) if self.is_production() => {
                (quote(text), "an https URL (http only in profile: development)")
            }
            Err(UrlError::NotHttps) => (quote(text), "an https or http URL"),
            Err(error @ UrlError::Credentials) => {
                (error.to_string(), "a URL without user or password")
            }
            Err(error @ UrlError::Fragment) => (error.to_string(), "a URL without one"),
            Err(error @ UrlError::TooLong) => (error.to_string(), "a shorter URL"),
        };
        self.report.wrong(path, found, expected);
        None
    }
}
