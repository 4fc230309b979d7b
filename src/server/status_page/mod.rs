//! What `/status` shows, and [`html`] to people at `/`: for each issuer and each of its sources, for the revocations,
//! each listener's certificate and the configuration, what is in force and how it is doing; and how checks ended lately.
//! Times are RFC 3339 in UTC. Nothing here decides anything, and nothing here is secret.

pub mod html;

use std::sync::Arc;

use serde::Serialize;

use super::generation::{Generation, ReloadState, RevocationInForce};
use super::health::ReadyState;
use super::tls::TlsState;
use crate::keys::status::{Persistence, SourceStatus, by_issuer};
use crate::revocation::EntryKind;
use crate::telemetry::metrics::DecisionCount;
use crate::token::Issuer;
use crate::util::clock::UnixTime;
use crate::util::rfc3339::rfc3339;

/// The whole page.
#[derive(Clone, Debug, Serialize)]
pub struct StatusPage {
    profile: &'static str,
    version: &'static str,
    ready: bool,
    pending: Vec<String>,
    configuration: ConfigurationPart,
    tls: Vec<TlsPart>,
    revocation: Option<RevocationPart>,
    issuers: Vec<IssuerPart>,
    decisions: Vec<DecisionPart>,
}

#[derive(Clone, Debug, Serialize)]
struct DecisionPart {
    decision: &'static str,
    reason: Option<&'static str>,
    last_minute: u64,
    last_five_minutes: u64,
    since_start: u64,
}

#[derive(Clone, Debug, Serialize)]
struct ConfigurationPart {
    generation: u64,
    since: String,
    last_error: Option<String>,
    last_error_at: Option<String>,
    needs_restart: Vec<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct TlsPart {
    listener: &'static str,
    cert_file: String,
    serial: String,
    names: String,
    not_after: String,
    expired: bool,
    since: String,
    last_error: Option<String>,
    last_error_at: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct RevocationPart {
    source: Option<String>,
    state: &'static str,
    entries: RevocationEntries,
    last_sync: Option<String>,
    age_seconds: Option<u64>,
    last_error: Option<String>,
    last_error_at: Option<String>,
    failures: u32,
    skipped: usize,
    skipped_because: Option<String>,
    epoch_changed: Option<String>,
    kept: usize,
}

#[derive(Clone, Debug, Serialize)]
struct RevocationEntries {
    token: usize,
    subject: usize,
    session: usize,
    key: usize,
    issuer: usize,
}

#[derive(Clone, Debug, Serialize)]
struct IssuerPart {
    name: String,
    issuer: String,
    sources: Vec<SourcePart>,
}

#[derive(Clone, Debug, Serialize)]
struct SourcePart {
    source: String,
    location: String,
    origin: &'static str,
    state: &'static str,
    kids: Vec<String>,
    skipped: Vec<SkippedPart>,
    age_seconds: Option<u64>,
    last_success: Option<String>,
    last_error: Option<String>,
    last_error_at: Option<String>,
    warning: Option<String>,
    failures: u32,
    usable_until: Option<String>,
    next_refresh: Option<String>,
    persisted: Option<bool>,
    persistence_error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct SkippedPart {
    kid: Option<String>,
    reason: &'static str,
}

/// The page as of `now`.
pub fn page(
    generation: &Generation,
    ready: &ReadyState,
    reload: &ReloadState,
    tls: &[Arc<TlsState>],
    now: UnixTime,
) -> StatusPage {
    let entries = generation.board.entries();
    let entries = by_issuer(&entries);
    let of_issuer = |issuer: &Issuer| IssuerPart {
        name: issuer.label.name().to_owned(),
        issuer: issuer.issuer.to_string(),
        sources: entries
            .get(&issuer.label.index())
            .into_iter()
            .flat_map(|entries| entries.iter())
            .map(|entry| source(entry, now))
            .collect(),
    };
    StatusPage {
        profile: generation.profile,
        version: env!("CARGO_PKG_VERSION"),
        ready: ready.ready,
        pending: ready.pending.clone(),
        configuration: ConfigurationPart {
            generation: reload.generation,
            since: rfc3339(reload.since),
            last_error: reload.refused.as_ref().map(|(_, error)| error.clone()),
            last_error_at: reload.refused.as_ref().map(|(at, _)| rfc3339(*at)),
            needs_restart: reload.needs_restart.clone(),
        },
        tls: tls.iter().map(|state| of_listener(state, now)).collect(),
        revocation: generation.revocation.as_ref().map(|revocation| of_revocation(revocation, now)),
        issuers: generation.issuers.iter().map(of_issuer).collect(),
        decisions: generation.metrics.decisions(now).into_iter().map(decided).collect(),
    }
}

fn decided(count: DecisionCount) -> DecisionPart {
    let DecisionCount { decision, reason, last_minute, last_five_minutes, since_start } = count;
    DecisionPart { decision, reason, last_minute, last_five_minutes, since_start }
}

fn of_listener(state: &TlsState, now: UnixTime) -> TlsPart {
    TlsPart {
        listener: state.listener,
        cert_file: state.cert_file.display().to_string(),
        serial: state.certificate.serial.clone(),
        names: state.certificate.names.clone(),
        not_after: rfc3339(state.certificate.expires),
        expired: state.has_expired(now),
        since: rfc3339(state.since),
        last_error: state.refused.as_ref().map(|(_, error)| error.clone()),
        last_error_at: state.refused.as_ref().map(|(at, _)| rfc3339(*at)),
    }
}

fn of_revocation(in_force: &RevocationInForce, now: UnixTime) -> RevocationPart {
    let RevocationInForce { revocations, board, metrics: _ } = in_force;
    let (status, snapshot) = (board.read(), revocations.store.load());
    let last_sync = revocations.store.confirmed_at();
    let is_fresh = revocations.store.is_fresh(revocations.policy.max_stale, now);
    let of = |kind: EntryKind| snapshot.count(kind);
    RevocationPart {
        state: match (&status.location, snapshot.is_loaded(), is_fresh) {
            // Part of the configuration.
            (None, ..) => "fixed",
            (_, false, _) => "waiting",
            (_, _, false) => "stale",
            _ if status.failures > 0 => "failing",
            _ => "fresh",
        },
        source: status.location,
        entries: RevocationEntries {
            token: of(EntryKind::Token),
            subject: of(EntryKind::Subject),
            session: of(EntryKind::Session),
            key: of(EntryKind::Key),
            issuer: of(EntryKind::Issuer),
        },
        last_sync: last_sync.map(rfc3339),
        age_seconds: last_sync.map(|at| now.since(at).as_secs()),
        last_error: status.last_error.as_ref().map(|(_, error)| error.clone()),
        last_error_at: status.last_error.as_ref().map(|(at, _)| rfc3339(*at)),
        failures: status.failures,
        skipped: status.skipped.count,
        skipped_because: status.skipped.first,
        epoch_changed: status.epoch_changed.map(rfc3339),
        kept: status.kept,
    }
}

fn source(entry: &SourceStatus, now: UnixTime) -> SourcePart {
    let skipped = entry.skipped.iter().map(|key| SkippedPart {
        kid: key.kid.as_deref().map(str::to_owned),
        reason: key.reason.as_str(),
    });
    SourcePart {
        source: entry.id.source.name().to_owned(),
        location: entry.location.clone(),
        origin: entry.origin.as_str(),
        state: state(entry, now),
        kids: entry.kids.clone(),
        skipped: skipped.collect(),
        age_seconds: entry.last_success.map(|at| now.since(at).as_secs()),
        last_success: entry.last_success.map(rfc3339),
        last_error: entry.last_error.as_ref().map(|(_, error)| error.clone()),
        last_error_at: entry.last_error.as_ref().map(|(at, _)| rfc3339(*at)),
        warning: entry.warning.clone(),
        failures: entry.failures,
        usable_until: entry.usable_until.map(rfc3339),
        next_refresh: entry.next_refresh.map(rfc3339),
        persisted: match entry.persistence {
            Persistence::Off => None,
            Persistence::Kept => Some(true),
            Persistence::Failed(_) => Some(false),
        },
        persistence_error: match &entry.persistence {
            Persistence::Failed(error) => Some(error.clone()),
            Persistence::Off | Persistence::Kept => None,
        },
    }
}

/// In one word: `waiting` for a first answer, `fresh`, `failing` on last-known-good keys, or `expired`.
fn state(entry: &SourceStatus, now: UnixTime) -> &'static str {
    if entry.last_success.is_none() {
        "waiting"
    } else if entry.usable_until.is_some_and(|until| until < now) {
        "expired"
    } else if entry.failures > 0 {
        "failing"
    } else {
        "fresh"
    }
}
