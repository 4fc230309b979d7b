//! The configuration of `claimgate issuer`: where it listens, what it signs with, and what each client may have. The key
//! directory is not looked at here.

use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use url::Url;

use super::{Compiler, DEFAULT_LIMITS};
use crate::config::raw::{
    RawClient, RawIssuerConfig, RawIssuerListen, RawIssuerRevocation, RawRateLimits,
    RawRefreshTokens,
};
use crate::config::report::{ConfigErrors, Path, Report, quote};
use crate::config::scalar::{Count, List, Mapping, Text};
use crate::config::{IssuerConfig, IssuerListen, Profile};
use crate::issuer::reference::secret_hash::{self, SecretHash};
use crate::issuer::reference::settings::{
    Client, IssuerSettings, RateLimits, RefreshSettings, RevocationSettings, Scope,
};
use crate::server::listener::address::Address;
use crate::util::label::Label;

/// Compiles `raw`; `report` holds what was wrong with the document's form already.
pub(in crate::config) fn compile_issuer(
    raw: RawIssuerConfig,
    report: Report,
    base_dir: &FilePath,
) -> Result<IssuerConfig, ConfigErrors> {
    let root = Path::default();
    let profile = raw.profile.map_or(Profile::Production, |Text(profile)| profile);
    let environment = &|_: &str| None;
    let mut compiler = Compiler { profile, base_dir, environment, limits: DEFAULT_LIMITS, report };
    let listen = compiler.issuer_listen(&root.key("listen"), raw.listen);
    let (issuer, path) = compiler.own_url(&root.key("issuer"), raw.issuer);
    let key_dir = compiler.key_dir(&root.key("key_dir"), raw.key_dir.as_deref());
    let lifetime = compiler.lifetime(&root.key("lifetime"), raw.lifetime);
    let refresh =
        compiler.refresh_tokens(&root.key("refresh_tokens"), raw.refresh_tokens, lifetime);
    let clients = compiler.clients(&root.key("clients"), raw.clients, lifetime);
    let revocation = compiler.written_revocations(&root.key("revocation"), raw.revocation);
    let limits = compiler.rate_limits(&root.key("limits"), raw.limits);
    if let Some(errors) = compiler.report.into_errors() {
        return Err(errors);
    }
    let settings =
        IssuerSettings { issuer, path, key_dir, clients, lifetime, refresh, revocation, limits };
    Ok(IssuerConfig { profile, listen, settings })
}

const DEFAULT_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// A stolen token is good for as long, where nobody looks for revocations.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MIN_LIFETIME: Duration = Duration::from_secs(60);
const MIN_LIFETIME_IN_DEVELOPMENT: Duration = Duration::from_secs(1);

const MAX_CLIENTS: usize = 1000;
const MAX_SECRETS: usize = 2;
/// Of scopes, audiences and roles, each: they all go into one header.
const MAX_GRANTS: usize = 64;
const MAX_TEXT_BYTES: usize = 256;

impl Compiler<'_> {
    fn issuer_listen(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawIssuerListen>>,
    ) -> IssuerListen {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let http = self.addresses(&path.key("http"), raw.http, 9194);
        let admin = self.addresses(&path.key("admin"), raw.admin, 9195);
        self.taken(&admin, &http, "listen.http");
        let unix = self.unix(&path.key("unix"), raw.unix);
        let has_tls = raw.tls.is_some();
        let tls = self.tls(&path.key("tls"), raw.tls, "listen.http", &http);
        let admin_tls = self.tls(&path.key("admin_tls"), raw.admin_tls, "listen.admin", &admin);
        let age = self.connection_age(&path.key("max_connection_age"), raw.max_connection_age);
        if self.is_production() && !has_tls {
            let is_open = |one: &Address| one.tcp().is_some_and(|tcp| !tcp.ip().is_loopback());
            for (path, address) in http.iter().filter(|(_, address)| is_open(address)) {
                let expected = "listen.tls, or a loopback address or a Unix socket with what speaks TLS for it before it \
                     (RFC 6749 §3.2: secrets and tokens go over this connection)";
                self.report.wrong(path, quote(&address.to_string()), expected);
            }
        }
        let places =
            |addresses: Vec<(Path, Address)>| addresses.into_iter().map(|(_, one)| one).collect();
        let (http, admin) = (places(http), places(admin));
        IssuerListen { http, admin, unix, tls, admin_tls, max_connection_age: age }
    }

    /// The URL as it is written, and its path.
    fn own_url(&mut self, path: &Path, raw: Option<String>) -> (String, String) {
        let expected = if self.is_production() {
            "an https URL such as https://issuer.example.com, without a slash at its end, a query or a fragment"
        } else {
            "an https or http URL such as http://127.0.0.1:9194, without a slash at its end, a query or a fragment"
        };
        let Some(text) = raw else {
            self.report.missing(path, expected);
            return (String::new(), String::new());
        };
        match self.path_of_issuer(&text) {
            Some(path) => (text, path),
            None => {
                self.report.wrong(path, quote(&text), expected);
                (String::new(), String::new())
            }
        }
    }

    fn path_of_issuer(&self, text: &str) -> Option<String> {
        let url = Url::parse(text).ok()?;
        let is_secure = url.scheme() == "https" || !self.is_production() && url.scheme() == "http";
        let path = url.path().trim_end_matches('/');
        let is_plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-' | '/');
        // As the parser writes it, or every verifier would compare it with something else.
        let is_normal = text == url.as_str().trim_end_matches('/') && !path.contains("//");
        let is_bare = url.username().is_empty() && url.password().is_none();
        let good = is_secure && is_normal && is_bare && path.chars().all(is_plain);
        (good && url.query().is_none() && url.fragment().is_none()).then(|| path.to_owned())
    }

    fn key_dir(&mut self, path: &Path, raw: Option<&str>) -> PathBuf {
        let Some(text) = raw else {
            self.report.missing(path, "the key directory that `claimgate keys generate` made");
            return PathBuf::new();
        };
        self.file(path, text, "a key directory")
    }

    fn lifetime(&mut self, path: &Path, raw: Option<Text<Duration>>) -> Duration {
        let lifetime = raw.map_or(DEFAULT_LIFETIME, |Text(lifetime)| lifetime);
        self.within(path, lifetime, self.least_lifetime(), MAX_LIFETIME);
        lifetime
    }

    fn least_lifetime(&self) -> Duration {
        if self.is_production() { MIN_LIFETIME } else { MIN_LIFETIME_IN_DEVELOPMENT }
    }

    fn within(&mut self, path: &Path, found: Duration, least: Duration, most: Duration) {
        if !(least..=most).contains(&found) {
            let expected = format!("{} to {} s", least.as_secs(), most.as_secs());
            self.report.wrong(path, format!("{} s", found.as_secs_f64()), expected);
        }
    }

    fn refresh_tokens(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawRefreshTokens>>,
        of_access: Duration,
    ) -> RefreshSettings {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let default = RefreshSettings::default();
        let lifetime = raw.max_lifetime.map_or(default.lifetime, |Text(lifetime)| lifetime);
        let usual = default.idle.min(lifetime);
        let idle = raw.max_idle.map_or(usual, |Text(idle)| idle);
        // A refresh token that is not known any more ends no session at /logout: it outlives the access tokens of its own.
        let least = self.least_lifetime().max(of_access.min(MAX_LIFETIME));
        let most = Duration::from_secs(366 * 24 * 60 * 60);
        self.within(&path.key("max_lifetime"), lifetime, least, most);
        self.within(&path.key("max_idle"), idle, least, lifetime.max(least));
        let per_client =
            self.count(&path.key("max_sessions"), raw.max_sessions, default.per_client);
        let most = self.count(&path.key("max_tokens"), raw.max_tokens, default.most);
        RefreshSettings { lifetime, idle, per_client, most }
    }

    fn count(&mut self, path: &Path, raw: Option<Text<Count>>, default: usize) -> usize {
        const MOST: usize = 1_000_000;
        let count = raw.map_or(default, |Text(Count(count))| count);
        if !(1..=MOST).contains(&count) {
            self.report.wrong(path, count, format!("1 to {MOST}"));
        }
        count
    }

    fn clients(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawClient>>>,
        lifetime: Duration,
    ) -> Vec<Client> {
        let Some(List(written)) = raw else {
            self.report.missing(path, "a list of clients");
            return Vec::new();
        };
        if written.is_empty() || written.len() > MAX_CLIENTS {
            self.report.wrong(path, written.len(), format!("1 to {MAX_CLIENTS} clients"));
        }
        let mut clients: Vec<Client> = Vec::with_capacity(written.len());
        for (index, raw) in written.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.index(index);
            let client = self.client(&path, index, raw, lifetime);
            if let Some(other) = clients.iter().find(|other| other.id() == client.id()) {
                self.report.wrong(&path.key("id"), quote(other.id()), "an ID of its own");
            } else if clients.iter().any(|other| other.subject == client.subject) {
                // One could end the sessions of the other.
                let found = quote(&client.subject);
                self.report.wrong(&path.key("subject"), found, "a subject of its own");
            }
            clients.push(client);
        }
        clients
    }

    fn client(&mut self, path: &Path, index: usize, raw: RawClient, most: Duration) -> Client {
        const EXPECTED: &str = "1 to 64 letters, digits and . _ ~ -, other than none";
        let id = raw.id.unwrap_or_else(|| {
            self.report.missing(&path.key("id"), EXPECTED);
            format!("none-{index}")
        });
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
        // "none" is what metrics say where there is no client.
        if id.is_empty() || id.len() > 64 || !id.chars().all(is_plain) || id == "none" {
            self.report.wrong(&path.key("id"), quote(&id), EXPECTED);
        }
        let secrets = self.secrets(&path.key("secret_hashes"), raw.secret_hashes);
        let scopes = self.client_scopes(&path.key("scopes"), raw.scopes).unwrap_or_default();
        let default_path = path.key("default_scopes");
        let default_scopes = self.client_scopes(&default_path, raw.default_scopes);
        for scope in default_scopes.iter().flatten().filter(|scope| !scopes.contains(scope)) {
            self.report.wrong(&default_path, quote(scope.as_str()), "some of the client's scopes");
        }
        let audiences_path = path.key("audiences");
        let audiences = match raw.audiences {
            Some(list) => self.texts(&audiences_path, list),
            None => {
                self.report.missing(&audiences_path, "whom its tokens are for");
                Vec::new()
            }
        };
        let roles = raw.roles.map(|list| self.texts(&path.key("roles"), list)).unwrap_or_default();
        let lifetime = raw.lifetime.map_or(most, |Text(lifetime)| lifetime);
        self.within(&path.key("lifetime"), lifetime, self.least_lifetime().min(most), most);
        if let Some(subject) = raw.subject.as_deref().filter(|subject| {
            let is_long = !(1..=MAX_TEXT_BYTES).contains(&subject.len());
            is_long || subject.chars().any(char::is_control)
        }) {
            let expected = format!("1 to {MAX_TEXT_BYTES} bytes without control characters");
            self.report.wrong(&path.key("subject"), quote(subject), expected);
        }
        let subject = raw.subject.unwrap_or_else(|| id.clone());
        Client {
            label: Label::new(index, &id),
            secrets,
            subject,
            default_scopes: default_scopes.unwrap_or_else(|| scopes.clone()),
            scopes,
            audiences,
            roles,
            lifetime,
            refresh_tokens: raw.refresh_tokens.unwrap_or(false),
        }
    }

    /// What stands there by mistake is the secret itself: nothing is quoted.
    fn secrets(&mut self, path: &Path, raw: Option<List<String>>) -> Vec<SecretHash> {
        let Some(List(written)) = raw else {
            self.report.missing(path, secret_hash::ACCEPTED);
            return Vec::new();
        };
        if written.is_empty() || written.len() > MAX_SECRETS {
            let expected = format!("one hash, or {MAX_SECRETS} while a secret is changed");
            self.report.wrong(path, written.len(), expected);
        }
        let mut hashes = Vec::new();
        for (index, text) in written.into_iter().enumerate() {
            let Some(text) = text else { continue };
            match SecretHash::parse(&text) {
                Some(hash) => hashes.push(hash),
                None => {
                    let found = "a text (not shown)";
                    self.report.wrong(&path.index(index), found, secret_hash::ACCEPTED);
                }
            }
        }
        hashes
    }

    fn client_scopes(&mut self, path: &Path, raw: Option<List<String>>) -> Option<Vec<Scope>> {
        let List(written) = raw?;
        self.at_most(path, written.len());
        let mut scopes = Vec::new();
        for (index, text) in written.into_iter().enumerate() {
            let Some(text) = text else { continue };
            match Scope::parse(&text) {
                None => self.report.wrong(&path.index(index), quote(&text), Scope::EXPECTED),
                Some(scope) if scopes.contains(&scope) => {
                    self.report.wrong(&path.index(index), quote(&text), "each scope once");
                }
                Some(scope) => scopes.push(scope),
            }
        }
        Some(scopes)
    }

    /// Audiences or roles.
    fn texts(&mut self, path: &Path, List(written): List<String>) -> Vec<String> {
        self.not_empty(path, written.len(), "at least one");
        self.at_most(path, written.len());
        let texts = self.strings(path, written);
        for (index, text) in texts.iter().enumerate() {
            if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
                let expected = format!("at most {MAX_TEXT_BYTES} bytes without control characters");
                self.report.wrong(&path.index(index), quote(text), expected);
            }
        }
        texts
    }

    fn at_most(&mut self, path: &Path, count: usize) {
        if count > MAX_GRANTS {
            self.report.wrong(path, count, format!("at most {MAX_GRANTS}"));
        }
    }

    fn written_revocations(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawIssuerRevocation>>,
    ) -> RevocationSettings {
        const EXPECTED: &str = "one of file and redis, which services read revocations from; without, what is revoked is accepted";
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        match (raw.file, raw.redis) {
            (Some(text), None) => {
                let file = self.file(&path.key("file"), &text, "the file that services watch");
                RevocationSettings::File(file)
            }
            (None, Some(Mapping(redis))) => {
                let redis = self.redis(&path.key("redis"), redis);
                redis.map_or(RevocationSettings::Memory, |redis| {
                    RevocationSettings::Redis(Box::new(redis))
                })
            }
            (Some(_), Some(_)) => {
                self.report.wrong(path, "file and redis", EXPECTED);
                RevocationSettings::Memory
            }
            (None, None) => {
                if self.is_production() {
                    self.report.missing(path, EXPECTED);
                }
                RevocationSettings::Memory
            }
        }
    }

    fn rate_limits(&mut self, path: &Path, raw: Option<Mapping<RawRateLimits>>) -> RateLimits {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let default = RateLimits::default();
        let mut limit = |key: &str, raw: Option<Text<Count>>, default: u32| {
            let usual = usize::try_from(default).unwrap_or(usize::MAX);
            u32::try_from(self.count(&path.key(key), raw, usual)).unwrap_or(default)
        };
        RateLimits {
            client_requests: limit("client_requests", raw.client_requests, default.client_requests),
            requests: limit("requests", raw.requests, default.requests),
            client_attempts: limit("client_attempts", raw.client_attempts, default.client_attempts),
            attempts: limit("attempts", raw.attempts, default.attempts),
        }
    }
}
