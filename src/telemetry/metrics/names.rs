//! Every metric of the service: its name, and the sentence that a scrape has with it. `deploy/metrics.md` says more, and
//! is held to this list by a test. Those of the issuer are its own ([`super::issuer`]).

use metrics::Recorder as _;
use metrics_exporter_prometheus::PrometheusRecorder;

pub(super) const CHECKS: &str = "claimgate_checks_total";
pub(super) const VERIFIED: &str = "claimgate_verified_tokens_total";
pub(super) const CACHE_HITS: &str = "claimgate_token_cache_hits_total";
pub(super) const CACHE_MISSES: &str = "claimgate_token_cache_misses_total";
pub(super) const CACHE_EVICTIONS: &str = "claimgate_token_cache_evictions_total";
pub(super) const CACHE_BYTES: &str = "claimgate_token_cache_bytes";
pub(super) const CACHE_LIMIT: &str = "claimgate_token_cache_limit_bytes";
pub(super) const CHECK_DURATION: &str = "claimgate_check_duration_seconds";
pub(super) const UNKNOWN_KIDS: &str = "claimgate_jwks_unknown_kid_total";
pub(super) const RELOADS: &str = "claimgate_config_reload_total";
pub(super) const LAST_RELOAD: &str = "claimgate_config_last_reload_successful";
pub(super) const REFRESHES: &str = "claimgate_jwks_refresh_total";
pub(super) const FETCH_DURATION: &str = "claimgate_jwks_fetch_duration_seconds";
pub(super) const LAST_SUCCESS: &str = "claimgate_jwks_last_success_timestamp_seconds";
pub(super) const USABLE_UNTIL: &str = "claimgate_jwks_usable_until_timestamp_seconds";
pub(super) const ORIGIN: &str = "claimgate_jwks_origin";
pub(super) const PERSISTED: &str = "claimgate_jwks_persisted";
pub(super) const REVOCATION_ENTRIES: &str = "claimgate_revocation_entries";
pub(super) const REVOCATION_LIMIT: &str = "claimgate_revocation_entries_limit";
pub(super) const REVOCATION_KEPT: &str = "claimgate_revocation_kept_entries";
pub(super) const REVOCATION_SKIPPED: &str = "claimgate_revocation_skipped_entries";
pub(super) const REVOCATION_SYNCS: &str = "claimgate_revocation_syncs_total";
pub(super) const REVOCATION_LAST_SYNC: &str = "claimgate_revocation_last_sync_timestamp_seconds";
pub(super) const REVOCATION_STALE: &str = "claimgate_revocation_stale";
pub(super) const REVOCATION_EPOCH_CHANGES: &str = "claimgate_revocation_epoch_changes_total";
pub(super) const REVOCATION_UNCHECKED: &str = "claimgate_revocation_unchecked_total";
pub(super) const SPANS: &str = "claimgate_spans_total";
pub(super) const CONNECTIONS: &str = "claimgate_connections";
pub(super) const CONNECTIONS_LIMIT: &str = "claimgate_connections_limit";
pub(super) const TURNED_AWAY: &str = "claimgate_connections_turned_away_total";
pub(super) const TLS_EXPIRY: &str = "claimgate_tls_certificate_expiry_timestamp_seconds";
pub(super) const TLS_RELOADS: &str = "claimgate_tls_reloads_total";
pub(super) const TLS_LAST_RELOAD: &str = "claimgate_tls_last_reload_successful";
pub(super) const TLS_HANDSHAKES: &str = "claimgate_tls_handshakes_total";
pub(super) const BUILD_INFO: &str = "claimgate_build_info";
pub(super) const GENERATION: &str = "claimgate_config_generation";
pub(super) const INFLIGHT: &str = "claimgate_inflight_checks";
pub(super) const INFLIGHT_LIMIT: &str = "claimgate_inflight_checks_limit";
pub(super) const READY: &str = "claimgate_ready";
pub(super) const KEYS: &str = "claimgate_jwks_keys";
pub(super) const SKIPPED_KEYS: &str = "claimgate_jwks_skipped_keys";
pub(super) const STALE: &str = "claimgate_jwks_stale";

/// The duration of a check is a histogram of our own, which is written beside the recorder's.
pub(super) const CHECK_DURATION_HELP: &str = "Time from a check's arrival to its answer.";

/// Tells the recorder all sentences.
pub(super) fn describe(recorder: &PrometheusRecorder) {
    let counters = [
        (CHECKS, "Checks by rule, issuer, decision and reason."),
        (VERIFIED, "Requests allowed with a verified token, by what the token was signed with."),
        (CACHE_HITS, "Tokens that were verified before and still good."),
        (CACHE_MISSES, "Tokens that had to be verified."),
        (CACHE_EVICTIONS, "Verified tokens that were forgotten for others' sake."),
        (REFRESHES, "Refreshes of key sources by result."),
        (RELOADS, "Attempts to read the configuration again by result."),
        (TLS_RELOADS, "Changes of a listener's certificate files, by whether they are in use."),
        (TLS_HANDSHAKES, "TLS handshakes of a listener by result."),
        (
            TURNED_AWAY,
            "Connections that a listener refused or ended to stay within its bounds, by reason.",
        ),
        (REVOCATION_SYNCS, "Questions to the source of the revocations by what came of them."),
        (
            REVOCATION_EPOCH_CHANGES,
            "How often the store of the revocations was emptied or replaced.",
        ),
        (
            REVOCATION_UNCHECKED,
            "Tokens that passed although it could not be told whether they are revoked.",
        ),
        (SPANS, "Checks that were sampled for a trace, by what became of their span."),
        (UNKNOWN_KIDS, "Checks whose key was missing, by what came of asking for it."),
    ];
    let gauges = [
        (LAST_SUCCESS, "When a key source last answered well."),
        (USABLE_UNTIL, "When a source's keys become too old to be used; 0 where they never do."),
        (KEYS, "Keys of a source, by whether they are used."),
        (SKIPPED_KEYS, "Keys of a source that are not used, by reason."),
        (STALE, "1 while a source's keys are older than they should be."),
        (ORIGIN, "1 for where a source's keys in force came from, 0 for the rest."),
        (PERSISTED, "1 while a source's copy on disk is the keys in force, 0 when it is not."),
        (REVOCATION_ENTRIES, "Revocations in force by kind."),
        (REVOCATION_LIMIT, "Revocations that the source may hold."),
        (REVOCATION_KEPT, "Revocations in force that the source does not have any more."),
        (REVOCATION_SKIPPED, "Revocations of the source that cannot be read."),
        (REVOCATION_LAST_SYNC, "When the source of the revocations last answered well."),
        (REVOCATION_STALE, "1 while the source of the revocations was not heard for too long."),
        (TLS_EXPIRY, "When the certificate of a listener ends."),
        (
            TLS_LAST_RELOAD,
            "0 while a listener's changed certificate files are refused and the certificate before is in use.",
        ),
        (READY, "1 while requests may come, 0 before and when draining, as /readyz says."),
        (BUILD_INFO, "1, with version and profile."),
        (GENERATION, "Counts the configurations in force since the start."),
        (LAST_RELOAD, "0 while a changed configuration is refused and the one before is in force."),
        (CACHE_BYTES, "Memory that verified tokens hold, about."),
        (CACHE_LIMIT, "Memory that verified tokens may hold."),
        (CONNECTIONS, "Connections that are open on a listener."),
        (CONNECTIONS_LIMIT, "Connections that a listener may have open."),
        (INFLIGHT, "Checks that have begun and not ended."),
        (INFLIGHT_LIMIT, "Checks that may be under way; more are refused."),
    ];
    for (name, help) in counters {
        recorder.describe_counter(name.into(), None, help.into());
    }
    let fetches = "Time of one read of a key source.";
    recorder.describe_histogram(FETCH_DURATION.into(), None, fetches.into());
    for (name, help) in gauges {
        recorder.describe_gauge(name.into(), None, help.into());
    }
}
