//! [`RawConfig`] → [`Config`]: what the document means. Goes on after a mistake, so that all of them are
//! reported; a value that could not be read is replaced by one that does no harm, since a report with
//! mistakes in it never becomes a configuration.

mod documents;
mod files;
mod forward;
mod issuers;
mod keys;
mod listen;
mod matching;
mod names;
mod redis;
mod reference_issuer;
mod refresh;
mod require;
mod revocation;
mod rules;
mod tokens;
mod traces;

use std::ffi::OsString;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

pub(super) use self::reference_issuer::compile_issuer;
use self::rules::RuleDefaults;
use super::raw::{RawCache, RawConfig, RawLimits};
use super::report::{ConfigErrors, Path, Report};
use super::scalar::{Count, Mapping, Size, Text};
use super::words::CorsPreflight;
use super::{Config, Limits, Profile};
use crate::check::answer::AnswerSettings;

/// Where environment variables are looked up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Everything that the parts of this module hand around.
struct Compiler<'a> {
    profile: Profile,
    base_dir: &'a FilePath,
    environment: Environment<'a>,
    limits: Limits,
    report: Report,
}

/// Compiles `raw`; `report` holds what was wrong with the document's form already.
pub(super) fn compile(
    raw: RawConfig,
    report: Report,
    base_dir: &FilePath,
    environment: Environment<'_>,
) -> Result<Config, ConfigErrors> {
    let root = Path::default();
    let profile = raw.profile.map_or(Profile::Production, |Text(profile)| profile);
    let mut compiler = Compiler { profile, base_dir, environment, limits: DEFAULT_LIMITS, report };
    compiler.limits = compiler.limits(&root.key("limits"), raw.limits);
    let listen = compiler.listen(&root.key("listen"), raw.listen);
    let state_dir = compiler.state_dir(&root.key("state_dir"), raw.state_dir.as_deref());
    let (issuers, sources) = compiler.issuers(&root.key("issuers"), raw.issuers);
    let tokens = compiler.tokens(&root.key("tokens"), raw.tokens);
    let keeps_token = raw.forward.as_ref().and_then(|Mapping(forward)| forward.keep_token);
    let forward = compiler.forward(&root.key("forward"), raw.forward, &tokens);
    let defaults = RuleDefaults {
        tokens: &tokens,
        forward: &forward,
        keep_token: keeps_token.unwrap_or(false),
        issuers: &issuers,
    };
    let rules = compiler.rules(&root.key("rules"), raw.rules, &defaults);
    let revocation = compiler.revocation(&root.key("revocation"), raw.revocation, &issuers);
    let allows_preflight =
        raw.cors_preflight.is_some_and(|Text(word)| word == CorsPreflight::Allow);
    let cache_bytes = compiler.cache_bytes(&root.key("cache"), raw.cache);
    let traces = compiler.traces(&root.key("traces"), raw.traces);
    let answers = raw.answers.and_then(|Mapping(answers)| answers.reason_header);
    let answers = answers
        .map_or_else(AnswerSettings::default, |reason_header| AnswerSettings { reason_header });
    let Compiler { limits, report, .. } = compiler;
    match report.into_errors() {
        Some(errors) => Err(errors),
        None => Ok(Config {
            profile,
            listen,
            state_dir,
            issuers,
            sources,
            tokens,
            forward,
            rules,
            revocation,
            allows_preflight,
            answers,
            cache_bytes,
            traces,
            limits,
        }),
    }
}

const DEFAULT_LIMITS: Limits = Limits {
    token_bytes: 16 * 1024,
    jwks_bytes: 512 * 1024,
    jwks_keys: 256,
    header_bytes: 8 * 1024,
    concurrent_checks: 8192,
    queue_time: Duration::from_secs(1),
};

impl Compiler<'_> {
    fn is_production(&self) -> bool {
        match self.profile {
            Profile::Production => true,
            Profile::Development => false,
        }
    }

    fn state_dir(&mut self, path: &Path, raw: Option<&str>) -> Option<PathBuf> {
        let text = raw?;
        if text.is_empty() {
            self.report.wrong(path, "an empty string", "the path of a directory");
        }
        Some(self.base_dir.join(text))
    }

    fn cache_bytes(&mut self, path: &Path, raw: Option<Mapping<RawCache>>) -> usize {
        const DEFAULT: usize = 64 << 20;
        const LEAST: usize = 1 << 20;
        let given = raw.and_then(|Mapping(raw)| raw.max_bytes);
        let bytes = given.map_or(DEFAULT, |Text(Size(bytes))| bytes);
        if bytes != 0 && bytes < LEAST {
            self.report.wrong(&path.key("max_bytes"), bytes, "0, or at least 1MiB");
        }
        bytes
    }

    /// What is answered after a minute nobody waits for any more.
    fn queue_time(&mut self, path: &Path, raw: Option<Text<Duration>>) -> Duration {
        let Some(Text(given)) = raw else { return DEFAULT_LIMITS.queue_time };
        if given < Duration::from_millis(1) || given > Duration::from_secs(60) {
            self.report.wrong(path, format!("{} ms", given.as_millis()), "1ms to 60s");
        }
        given
    }

    fn limits(&mut self, path: &Path, raw: Option<Mapping<RawLimits>>) -> Limits {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let mut limit =
            |key: &str, given: Option<usize>, default: usize, least: usize, most: usize| {
                let value = given.unwrap_or(default);
                if value < least || value > most {
                    self.report.wrong(&path.key(key), value, format!("{least} to {most}"));
                    return default;
                }
                value
            };
        let bytes = |size: Option<Text<Size>>| size.map(|Text(Size(bytes))| bytes);
        let count = |count: Option<Text<Count>>| count.map(|Text(Count(count))| count);
        let default = DEFAULT_LIMITS;
        Limits {
            // No signed token is shorter; Envoy's own limit for all headers is 60 KiB, at most 8 MiB.
            token_bytes: limit(
                "token_bytes",
                bytes(raw.token_bytes),
                default.token_bytes,
                256,
                1 << 20,
            ),
            jwks_bytes: limit(
                "jwks_bytes",
                bytes(raw.jwks_bytes),
                default.jwks_bytes,
                1024,
                1 << 24,
            ),
            jwks_keys: limit("jwks_keys", count(raw.jwks_keys), default.jwks_keys, 1, 4096),
            header_bytes: limit(
                "header_bytes",
                bytes(raw.header_bytes),
                default.header_bytes,
                256,
                1 << 20,
            ),
            concurrent_checks: limit(
                "concurrent_checks",
                count(raw.concurrent_checks),
                default.concurrent_checks,
                1,
                100_000,
            ),
            queue_time: self.queue_time(&path.key("queue_time"), raw.queue_time),
        }
    }
}
