"""For every alert of deploy/observability/alerts.yaml (`issuer_cases` has those of the issuer) at least one world in which it fires and one in which it does not, which
`rules` has promtool play. A world is the series of one process, in promtool's notation: a value a minute from minute 0 on.
"""

PROCESS = {"instance": "a:9193", "job": "claimgate"}
SOURCE = {"issuer": "accounts", "source": "0"}
_A = ",".join(f'{name}="{value}"' for name, value in PROCESS.items())
_S = _A + ',issuer="accounts",source="0"'
_INSTANCE = {"instance": "a:9193"}


def of(metric, labels="", values="", source=False):
    """One series of the process, or of its one source."""
    own = _S if source else _A
    return f"{metric}{{{own}{',' if labels else ''}{labels}}}", values


def fires(at, series, labels, summary):
    """At minute `at` the alert fires, once, with these labels beside `severity`, and says this."""
    return {"at": at, "series": series, "labels": labels, "summary": summary}


def stays(at, series):
    """At minute `at` the alert does not fire."""
    return {"at": at, "series": series}


def checks(reason, values, decision="deny", issuer="accounts"):
    return of("claimgate_checks_total", f'rule="all",issuer="{issuer}",decision="{decision}",reason="{reason}"', values)


def durations(*by_bound):
    """Checks a minute that took up to each bound."""
    return [of("claimgate_check_duration_seconds_bucket", f'decision="allow",le="{bound}"', f"0+{each}x40") for bound, each in by_bound]


def unknown(outcome, values):
    return of("claimgate_jwks_unknown_kid_total", f'issuer="accounts",outcome="{outcome}"', values)


def origin(word, values):
    return of("claimgate_jwks_origin", f'origin="{word}"', values, source=True)


def usable(values, source="0"):
    return of("claimgate_jwks_keys", f'issuer="accounts",source="{source}",state="usable"', values)


def until(values, source="0"):
    return of("claimgate_jwks_usable_until_timestamp_seconds", f'issuer="accounts",source="{source}"', values)


def refreshes(result, values):
    return of("claimgate_jwks_refresh_total", f'result="{result}"', values, source=True)


LAST = "claimgate_jwks_last_success_timestamp_seconds"
BUILD = ("claimgate_build_info", 'version="0.1.0",profile="production"')
HOUR, DAY = 60, 24 * 60
# Read once, in the first minute: good for a day, or for an hour.
ONCE, TILL_A_DAY, TILL_AN_HOUR = "60x1500", "86460x1500", "3660x1500"

CASES = {
    "ClaimgateAbsent": [
        fires(6, [of("up", "", "0x10")], {"job": "claimgate"}, "No claimgate is scraped"),
        stays(4, [of("up", "", "0x10")]),
        stays(10, [of(*BUILD, "1x20")]),
    ],
    "ClaimgateNotReady": [
        fires(6, [of("claimgate_ready", "", "0x9")], PROCESS, "a:9193 runs and is not ready"),
        # A start, and an end.
        stays(9, [of("claimgate_ready", "", "0x2 1x9")]),
        stays(9, [of("claimgate_ready", "", "1x6 0x9")]),
    ],
    "ClaimgateAnswersUnavailable": [
        fires(10, [checks("keys_unavailable", "0+1x20")], {**_INSTANCE, "reason": "keys_unavailable"},
              "a:9193 answers 503: keys_unavailable"),
        fires(10, [checks("internal", "0+1x20", issuer="none")], {**_INSTANCE, "reason": "internal"}, "a:9193 answers 503: internal"),
        # What there was is over; what callers do wrong is not this.
        stays(10, [checks("keys_unavailable", "7x20"), checks("expired", "0+9x20")]),
        stays(10, [checks("overloaded", "0+9x20")]),
    ],
    "ClaimgateOverloaded": [
        fires(10, [checks("overloaded", "0+60x20", issuer="none")], _INSTANCE, "a:9193 turns 1 checks a second away unseen"),
        stays(10, [checks("overloaded", "60x20", issuer="none"), checks("internal", "0+60x20")]),
        # Shorter than its two minutes.
        stays(2, [checks("overloaded", "0+60x20", issuer="none")]),
    ],
    "ClaimgateChecksPileUp": [
        fires(10, [of("claimgate_inflight_checks", "", "6000x20"), of("claimgate_inflight_checks_limit", "", "8192x20")], PROCESS,
              "a:9193 has 73.24% of the checks under way that it may have"),
        # So many are a lot less where more may be.
        stays(10, [of("claimgate_inflight_checks", "", "6000x20"), of("claimgate_inflight_checks_limit", "", "65536x20")]),
        stays(20, [of("claimgate_inflight_checks", "", "8000x3 4x20"), of("claimgate_inflight_checks_limit", "", "8192x30")]),
    ],
    "ClaimgateConnectionsFillUp": [
        fires(20, [of("claimgate_connections", 'listener="grpc"', "900x30"), of("claimgate_connections_limit", 'listener="grpc"', "1000x30")],
              {**PROCESS, "listener": "grpc"}, "a:9193 has 90% of the connections that it may have, listener grpc"),
        stays(20, [of("claimgate_connections", 'listener="grpc"', "100x30"), of("claimgate_connections_limit", 'listener="grpc"', "1000x30"),
                   of("claimgate_connections", 'listener="admin"', "100x30"), of("claimgate_connections_limit", 'listener="admin"', "128x30")]),
    ],
    "ClaimgateConnectionsFull": [
        fires(10, [of("claimgate_connections_turned_away_total", 'listener="grpc",reason="full"', "0+1x20")],
              {**_INSTANCE, "listener": "grpc"}, "a:9193 has no room for more connections, listener grpc"),
        stays(10, [of("claimgate_connections_turned_away_total", 'listener="grpc",reason="silent"', "0+1x20"),
                   of("claimgate_connections_turned_away_total", 'listener="grpc",reason="full"', "3x20")]),
    ],
    "ClaimgateFilesRunOut": [
        fires(20, [of("process_open_fds", "", "950x30"), of("process_max_fds", "", "1000x30")], PROCESS,
              "a:9193 has 95% of the files open that it may have"),
        stays(20, [of("process_open_fds", "", "950x30"), of("process_max_fds", "", "65536x30")]),
        # No limit: no such series.
        stays(20, [of("process_open_fds", "", "950x30")]),
    ],
    "ClaimgateSlow": [
        # Two in a hundred take between 5 and 25 ms: the 99th is in the middle of them.
        fires(20, durations(("0.005", 98), ("0.025", 100), ("+Inf", 100)), _INSTANCE,
              "a:9193 takes 15ms or more for one check in a hundred"),
        stays(20, durations(("0.001", 99), ("0.005", 100), ("0.025", 100), ("+Inf", 100))),
        # Nothing is asked.
        stays(20, durations(("0.005", 0), ("0.025", 0), ("+Inf", 0))),
    ],
    "ClaimgateDenialsJump": [
        fires(30, [checks("expired", "0+6x40"), checks("none", "0+4x40", decision="allow")],
              {"job": "claimgate", "reason": "expired"}, "60% of all requests are denied: expired"),
        stays(30, [checks("expired", "0+4x40"), checks("none", "0+6x40", decision="allow")]),
        # What a shadow rule would deny passes, and what is claimgate's fault is another alert's.
        stays(30, [checks("expired", "0+9x40", decision="would_deny"), checks("none", "0+1x40", decision="allow")]),
        stays(30, [checks("keys_unavailable", "0+9x40"), checks("none", "0+1x40", decision="allow")]),
    ],
    "ClaimgateNoUsableKeys": [
        fires(15, [usable("0x20"), until("0x20"), refreshes("timeout", "0+1x20")], {**_INSTANCE, "issuer": "accounts"},
              "a:9193 has no key of issuer accounts"),
        # Too old to be used, though nobody has asked for them since.
        fires(HOUR + 5, [usable("2x99"), until("3660x99"), refreshes("timeout", "0+1x99")], {**_INSTANCE, "issuer": "accounts"},
              "a:9193 has no key of issuer accounts"),
        stays(HOUR - 5, [usable("2x99"), until("3660x99"), refreshes("timeout", "0+1x99")]),
        # Used for ever.
        stays(HOUR + 5, [usable("2x99"), until("0x99"), refreshes("timeout", "0+1x99")]),
        # Another source of the issuer has some.
        stays(15, [usable("0x20"), until("0x20"), usable("2x20", source="1"), until("86400x20", source="1"), refreshes("timeout", "0+1x20")]),
        # Nobody reads it any more: it is configured no longer.
        stays(15, [usable("0x20"), until("0x20"), refreshes("timeout", "5x20")]),
    ],
    "ClaimgateNoSuccessfulRefresh": [
        fires(DAY // 2 + 10, [of(LAST, "", ONCE, source=True), until(TILL_A_DAY)], {**PROCESS, **SOURCE},
              "a:9193 has not read issuer accounts, source 0, for too long"),
        stays(DAY // 2 - 1, [of(LAST, "", ONCE, source=True), until(TILL_A_DAY)]),
        # Whatever max_stale is.
        fires(HOUR // 2 + 10, [of(LAST, "", ONCE, source=True), until(TILL_AN_HOUR)], {**PROCESS, **SOURCE},
              "a:9193 has not read issuer accounts, source 0, for too long"),
        # Never since the start.
        fires(6, [of(LAST, "", "0x20", source=True), until("0x20")], {**PROCESS, **SOURCE},
              "a:9193 has not read issuer accounts, source 0, for too long"),
        # Read once a minute.
        stays(DAY, [of(LAST, "", "0+60x1500", source=True), until("86400+60x1500")]),
        # Read once and good for ever: a part of the configuration, or max_stale: unlimited.
        stays(DAY, [of(LAST, "", ONCE, source=True), until("0x1500")]),
    ],
    "ClaimgateKeysStale": [
        fires(16, [of("claimgate_jwks_stale", "", "1x20", source=True)], {**PROCESS, **SOURCE},
              "a:9193 works with old keys of issuer accounts, source 0"),
        stays(14, [of("claimgate_jwks_stale", "", "1x20", source=True)]),
        stays(20, [of("claimgate_jwks_stale", "", "0x4 1x9 0x20", source=True)]),
    ],
    "ClaimgateRefreshFailing": [
        fires(40, [refreshes("http_error", "0+1x60")], {**_INSTANCE, **SOURCE, "result": "http_error"},
              "a:9193 cannot read keys of issuer accounts, source 0: http_error"),
        stays(40, [refreshes("ok", "0+1x60"), refreshes("not_modified", "0+1x60")]),
        # Now and then.
        stays(60, [refreshes("timeout", "0x9 1x9 2x9 3x9 4x40")]),
    ],
    "ClaimgateKeysFromDisk": [
        fires(16, [origin("disk", "1x20")], {**PROCESS, **SOURCE, "origin": "disk"},
              "a:9193 still has the keys of issuer accounts, source 0, that it found on disk"),
        # A start, and the first answer of the provider after it.
        stays(20, [origin("disk", "1x2 0x20"), origin("network", "0x2 1x20")]),
    ],
    "ClaimgateKeysNotPersisted": [
        fires(16, [of("claimgate_jwks_persisted", "", "0x20", source=True)], {**PROCESS, **SOURCE},
              "a:9193 cannot keep the keys of issuer accounts, source 0, on disk"),
        stays(20, [of("claimgate_jwks_persisted", "", "1x20", source=True)]),
    ],
    "ClaimgateFewKeys": [
        fires(80, [usable("3x60 1x40")], {**PROCESS, **SOURCE, "state": "usable"},
              "Issuer accounts, source 0, publishes 1 keys, less than half of what it had, says a:9193"),
        # The end of a rotation.
        stays(80, [usable("2x60 1x40")]),
        stays(70, [usable("3x60 1x40")]),
    ],
    "ClaimgateKeysSkipped": [
        fires(61, [of("claimgate_jwks_skipped_keys", 'reason="weak_key"', "1x90", source=True)],
              {**PROCESS, **SOURCE, "reason": "weak_key"}, "Issuer accounts, source 0, publishes keys that are not used: weak_key"),
        stays(90, [of("claimgate_jwks_skipped_keys", 'reason="weak_key"', "0x90", source=True)]),
        # That has an alert of its own.
        stays(90, [of("claimgate_jwks_skipped_keys", 'reason="private_key"', "1x90", source=True)]),
        # As every realm of a Keycloak has one.
        stays(90, [of("claimgate_jwks_skipped_keys", 'reason="for_encryption"', "1x90", source=True)]),
    ],
    "ClaimgateSecretPublished": [
        fires(1, [of("claimgate_jwks_skipped_keys", 'reason="private_key"', "0 1", source=True)],
              {**PROCESS, **SOURCE, "reason": "private_key"}, "Issuer accounts, source 0, publishes a secret: private_key"),
        fires(1, [of("claimgate_jwks_skipped_keys", 'reason="symmetric_key"', "0 2", source=True)],
              {**PROCESS, **SOURCE, "reason": "symmetric_key"}, "Issuer accounts, source 0, publishes a secret: symmetric_key"),
        stays(5, [of("claimgate_jwks_skipped_keys", 'reason="weak_key"', "1x9", source=True)]),
    ],
    "ClaimgateUnknownKids": [
        fires(30, [unknown("known_unknown", "0+90x40"), unknown("limited", "0+30x40")], {"issuer": "accounts", "job": "claimgate"},
              "2 tokens of issuer accounts a second name keys that it has not published"),
        stays(30, [unknown("not_found", "0+50x40")]),
        # A rotation: each of them was there at the next look.
        stays(30, [unknown("found", "0+900x40")]),
    ],
    "ClaimgateRevocationsStale": [
        fires(2, [of("claimgate_revocation_stale", "", "1x5")], PROCESS, "a:9193 does not know which tokens are revoked"),
        stays(5, [of("claimgate_revocation_stale", "", "0x9")]),
    ],
    "ClaimgateRevocationsLost": [
        fires(10, [of("claimgate_revocation_epoch_changes_total", "", "0x5 1x10")], _INSTANCE,
              "The store of the revocations was emptied or replaced, says a:9193"),
        fires(4, [of("claimgate_revocation_syncs_total", 'result="no_epoch"', "0+1x10")], _INSTANCE,
              "The store of the revocations was emptied or replaced, says a:9193"),
        stays(90, [of("claimgate_revocation_epoch_changes_total", "", "0x5 1x100"),
                   of("claimgate_revocation_syncs_total", 'result="unreachable"', "0+1x100")]),
    ],
    "ClaimgateRevocationsFillUp": [
        fires(20, [of("claimgate_revocation_entries", 'kind="token"', "800x30"), of("claimgate_revocation_entries", 'kind="session"', "100x30"),
                   of("claimgate_revocation_entries_limit", "", "1000x30")], _INSTANCE,
              "a:9193 has 90% of the revocations that it may have"),
        stays(20, [of("claimgate_revocation_entries", 'kind="token"', "800x30"), of("claimgate_revocation_entries_limit", "", "2000x30")]),
        # There is no source besides the configuration.
        stays(20, [of("claimgate_revocation_entries", 'kind="token"', "8x30"), of("claimgate_revocation_entries_limit", "", "0x30")]),
    ],
    "ClaimgateRevocationsSkipped": [
        fires(6, [of("claimgate_revocation_skipped_entries", "", "3x10")], PROCESS, "a:9193 finds 3 revocations that it cannot read"),
        stays(9, [of("claimgate_revocation_skipped_entries", "", "0x10")]),
    ],
    "ClaimgateReloadFailed": [
        fires(90, [of("claimgate_config_last_reload_successful", "", "1x10 0x100")], PROCESS,
              "a:9193 has refused a changed configuration"),
        # It was mended.
        stays(30, [of("claimgate_config_last_reload_successful", "", "1x10 0x10 1x20")]),
    ],
    "ClaimgateCertificateExpires": [
        fires(20, [of("claimgate_tls_certificate_expiry_timestamp_seconds", 'listener="grpc"', f"{2 * 86400}x30")],
              {**PROCESS, "listener": "grpc"}, "The certificate of a:9193, listener grpc, ends within three days"),
        stays(20, [of("claimgate_tls_certificate_expiry_timestamp_seconds", 'listener="grpc"', f"{4 * 86400}x30")]),
        # Renewed in time.
        stays(25, [of("claimgate_tls_certificate_expiry_timestamp_seconds", 'listener="grpc"', f"{2 * 86400}x9 {90 * 86400}x30")]),
    ],
    "ClaimgateCertificateNotReloaded": [
        fires(90, [of("claimgate_tls_last_reload_successful", 'listener="grpc"', "1x5 0x100")], {**PROCESS, "listener": "grpc"},
              "a:9193 cannot use the renewed certificate of listener grpc"),
        # It was mended; a pair that was caught halfway.
        stays(10, [of("claimgate_tls_last_reload_successful", 'listener="grpc"', "1x5 0 1x10")]),
    ],
    "ClaimgateSpansLost": [
        fires(30, [of("claimgate_spans_total", 'result="failed"', "0+60x40")], {**_INSTANCE, "result": "failed"}, "a:9193 loses spans: failed"),
        fires(30, [of("claimgate_spans_total", 'result="dropped"', "0+60x40")], {**_INSTANCE, "result": "dropped"}, "a:9193 loses spans: dropped"),
        stays(30, [of("claimgate_spans_total", 'result="exported"', "0+60x40"), of("claimgate_spans_total", 'result="failed"', "0x40")]),
        # The collector was away for a moment.
        stays(30, [of("claimgate_spans_total", 'result="failed"', "0+60x4 240x40")]),
    ],
    "ClaimgateInDevelopmentProfile": [
        fires(6, [of("claimgate_build_info", 'version="0.1.0",profile="development"', "1x10")],
              {**PROCESS, "version": "0.1.0", "profile": "development"}, "a:9193 runs with profile: development"),
        # A configuration that was replaced is 0.
        stays(9, [of("claimgate_build_info", 'version="0.1.0",profile="development"', "0x10"), of(*BUILD, "1x10")]),
    ],
}
