//! `revocation`: what was taken back before it expired. No source is read here.

use std::time::Duration;

use super::Compiler;
use super::refresh::shown;
use crate::config::raw::{REVOCATION_SOURCES, RawRevocation, RawRevocationEntry};
use crate::config::report::{Path, quote};
use crate::config::scalar::{Count, List, Mapping, MaxStale, Moment, Text};
use crate::config::words::{RawBeforeFirstLoad, RawWhenStale, RawWithoutJti};
use crate::revocation::entry::MAX_SECONDS;
use crate::revocation::file::FileSettings;
use crate::revocation::policy::{BeforeFirstLoad, WhenStale, WithoutJti};
use crate::revocation::source::SourceSettings;
use crate::revocation::{
    EntryError, EntryKind, RevocationEntry, RevocationPolicy, RevocationSettings, Revoked,
};
use crate::token::Issuer;
use crate::util::clock::UnixTime;

/// About 80 MB of memory.
const DEFAULT_MAX_ENTRIES: usize = 2_000_000;

impl Compiler<'_> {
    pub(super) fn revocation(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawRevocation>>,
        issuers: &[Issuer],
    ) -> Option<RevocationSettings> {
        let Mapping(mut raw) = raw?;
        let entries = raw.entries.take();
        let has_entries = entries.is_some();
        let fixed = self.fixed_entries(&path.key("entries"), entries, issuers);
        let has_source = raw.file.is_some() || raw.redis.is_some();
        let source = self.revocation_source(path, &mut raw);
        if !has_source && !has_entries && !self.report.has_in(path) {
            let expected = format!("entries, or one of {}", REVOCATION_SOURCES.join(", "));
            self.report.missing(path, expected);
        }
        let policy = self.revocation_policy(path, &raw);
        let max_entries = raw.max_entries.map_or(DEFAULT_MAX_ENTRIES, |Text(Count(count))| count);
        if !(1..=100_000_000).contains(&max_entries) {
            self.report.wrong(&path.key("max_entries"), max_entries, "1 to 100000000");
        }
        Some(RevocationSettings { fixed, source, max_entries, policy })
    }

    /// The one source, if there is one.
    fn revocation_source(
        &mut self,
        path: &Path,
        raw: &mut RawRevocation,
    ) -> Option<SourceSettings> {
        if raw.file.is_some() && raw.redis.is_some() {
            let expected = "one source; entries may stand beside it";
            self.report.wrong(path, REVOCATION_SOURCES.join(" and "), expected);
        }
        let file = raw.file.take().map(|text| {
            let path = self.file(&path.key("file"), &text, "revocations, one line of JSON each");
            SourceSettings::File(FileSettings { path })
        });
        let redis = raw.redis.take().and_then(|Mapping(raw)| self.redis(&path.key("redis"), raw));
        file.or_else(|| redis.map(|redis| SourceSettings::Redis(Box::new(redis))))
    }

    fn revocation_policy(&mut self, path: &Path, raw: &RawRevocation) -> RevocationPolicy {
        let default = RevocationPolicy::default();
        let max_stale = match raw.max_stale {
            None => default.max_stale,
            Some(Text(MaxStale::For(duration))) => Some(duration),
            Some(Text(MaxStale::Unlimited)) => None,
        };
        // A source that is well is heard every few seconds.
        let (least, accepted) = if self.is_production() {
            (Duration::from_secs(30), "at least 30s (less only in profile: development)")
        } else {
            (Duration::from_secs(1), "at least 1s")
        };
        if let Some(given) = max_stale.filter(|given| *given < least) {
            self.report.wrong(&path.key("max_stale"), shown(given), accepted);
        }
        RevocationPolicy {
            max_stale,
            when_stale: match raw.when_stale {
                Some(Text(RawWhenStale::Allow)) => WhenStale::Allow,
                Some(Text(RawWhenStale::Deny)) | None => WhenStale::Deny,
            },
            without_jti: match raw.without_jti {
                Some(Text(RawWithoutJti::Accept)) => WithoutJti::Accept,
                Some(Text(RawWithoutJti::Refuse)) | None => WithoutJti::Refuse,
            },
            before_first_load: match raw.before_first_load {
                Some(Text(RawBeforeFirstLoad::Ready)) => BeforeFirstLoad::Ready,
                Some(Text(RawBeforeFirstLoad::NotReady)) | None => BeforeFirstLoad::NotReady,
            },
        }
    }

    fn fixed_entries(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawRevocationEntry>>>,
        issuers: &[Issuer],
    ) -> Vec<RevocationEntry> {
        let List(list) = raw.unwrap_or(List(Vec::new()));
        let mut entries = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            entries.extend(self.fixed_entry(&path.index(index), raw, issuers));
        }
        entries
    }

    fn fixed_entry(
        &mut self,
        path: &Path,
        raw: RawRevocationEntry,
        issuers: &[Issuer],
    ) -> Option<RevocationEntry> {
        let iss = raw.iss.unwrap_or_default();
        let iss_path = path.key("iss");
        if iss.is_empty() {
            self.report.missing(&iss_path, "the iss of its tokens");
        } else if !issuers.is_empty() && !issuers.iter().any(|issuer| issuer.issuer.is(&iss)) {
            // It would revoke nothing.
            self.report.wrong(&iss_path, quote(&iss), "the iss of a configured issuer");
        }
        let Some(Text(kind)) = raw.kind else {
            self.report.missing(&path.key("kind"), KINDS);
            return None;
        };
        let ids = [("jti", raw.jti), ("sub", raw.sub), ("sid", raw.sid), ("kid", raw.kid)];
        let mut id = None;
        for (member, given) in ids {
            match (given, kind.member() == Some(member)) {
                (Some(given), true) => id = Some(given),
                (Some(_), false) => self.not_of(&path.key(member), kind),
                (None, true) => self.report.missing(&path.key(member), "which one it is"),
                (None, false) => {}
            }
        }
        let not_before_path = path.key("not_before");
        let not_before = raw.not_before.map(|Text(Moment(time))| time);
        match (not_before, kind.has_not_before()) {
            (Some(_), false) => self.not_of(&not_before_path, kind),
            (None, true) => {
                let expected = "the time before which what was issued is revoked";
                self.report.missing(&not_before_path, expected);
            }
            (Some(_), true) | (None, false) => {}
        }
        let expires_at = raw.expires_at.map(|Text(Moment(time))| time);
        let expires_at = expires_at.or_else(|| UnixTime::from_secs(MAX_SECONDS))?;
        let revoked = Revoked::of(kind, id.map(Into::into), not_before)?;
        if iss.is_empty() {
            return None;
        }
        match RevocationEntry::new(&iss, revoked, expires_at) {
            Ok(entry) => Some(entry),
            Err(error) => {
                self.entry_mistake(path, &error);
                None
            }
        }
    }

    fn not_of(&mut self, path: &Path, kind: EntryKind) {
        let expected = format!("no such key for a {}", kind.as_str());
        self.report.wrong(path, "a value", expected);
    }

    fn entry_mistake(&mut self, path: &Path, error: &EntryError) {
        self.report.say(path, error.to_string());
    }
}

const KINDS: &str = "token, subject, session, key or issuer";
