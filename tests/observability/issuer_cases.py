"""The worlds of the alerts of deploy/observability/issuer-alerts.yaml, as `cases` has those of the service."""

from cases import fires, stays

PROCESS = {"instance": "i:9195", "job": "claimgate-issuer"}
_INSTANCE = {"instance": "i:9195"}
_OWN = ",".join(f'{name}="{value}"' for name, value in PROCESS.items())
DAY = 24 * 3600


def of(metric, labels="", values=""):
    """One series of the process."""
    return f"{metric}{{{_OWN}{',' if labels else ''}{labels}}}", values


def requests(result, values, endpoint="token", client="worker"):
    return of("claimgate_issuer_requests_total", f'endpoint="{endpoint}",client="{client}",result="{result}"', values)


def durations(endpoint, *by_bound):
    """Requests a minute that took up to each bound."""
    return [of("claimgate_issuer_request_duration_seconds_bucket", f'endpoint="{endpoint}",le="{bound}"', f"0+{each}x40") for bound, each in by_bound]


def since(age, values="x90"):
    """A key that is this old at minute 0, when promtool's clock is at 0."""
    return of("claimgate_issuer_active_key_since_timestamp_seconds", "", f"{-age}{values}")


BUILD = "claimgate_build_info"
READY = "claimgate_ready"
LAST_RELOAD = "claimgate_issuer_key_last_reload_successful"
UNWRITTEN = "claimgate_issuer_unwritten_revocations"
EXPIRY = "claimgate_tls_certificate_expiry_timestamp_seconds"

CASES = {
    "ClaimgateIssuerAbsent": [
        fires(6, [], {"job": "claimgate-issuer"}, "No claimgate issuer is scraped"),
        # The service's is no issuer's.
        fires(6, [(f'{BUILD}{{instance="a:9193",job="claimgate"}}', "1x10")], {"job": "claimgate-issuer"}, "No claimgate issuer is scraped"),
        stays(10, [of(BUILD, 'version="0.1.0",profile="production"', "1x20")]),
    ],
    "ClaimgateIssuerNotReady": [
        fires(6, [of(READY, "", "0x9")], PROCESS, "i:9195 runs and is not ready"),
        stays(9, [of(READY, "", "0x2 1x9")]),
    ],
    "ClaimgateIssuerSignsNothing": [
        fires(3, [of("claimgate_issuer_active_key_since_timestamp_seconds", "", "0x9")], PROCESS, "i:9195 has no key to sign with"),
        stays(3, [since(60)]),
    ],
    "ClaimgateIssuerKeyOld": [
        fires(70, [since(352 * DAY), of("claimgate_issuer_keys", 'state="next"', "0x90")], PROCESS,
              "i:9195 signs with the same key for 352d 1h 10m 0s, and no next one is published"),
        stays(70, [since(340 * DAY), of("claimgate_issuer_keys", 'state="next"', "0x90")]),
        # The rotation is under way.
        stays(70, [since(352 * DAY), of("claimgate_issuer_keys", 'state="next"', "1x90")]),
        # That has an alert of its own.
        stays(70, [of("claimgate_issuer_active_key_since_timestamp_seconds", "", "0x90"), of("claimgate_issuer_keys", 'state="next"', "0x90")]),
    ],
    "ClaimgateIssuerKeysNotReloaded": [
        fires(90, [of(LAST_RELOAD, "", "1x10 0x100")], PROCESS, "i:9195 cannot use its key directory as it is now"),
        stays(30, [of(LAST_RELOAD, "", "1x10 0x10 1x20")]),
    ],
    "ClaimgateIssuerFails": [
        fires(10, [requests("unavailable", "0+1x20", endpoint="logout")], {**_INSTANCE, "endpoint": "logout", "result": "unavailable"},
              "i:9195 cannot answer logout: unavailable"),
        fires(10, [requests("overloaded", "0+9x20", client="none")], {**_INSTANCE, "endpoint": "token", "result": "overloaded"},
              "i:9195 cannot answer token: overloaded"),
        # What there was is over; what clients do wrong is not this.
        stays(10, [requests("internal", "3x20"), requests("invalid_client", "0+9x20"), requests("too_many_requests", "0+9x20")]),
    ],
    "ClaimgateIssuerRefusalsJump": [
        fires(30, [requests("invalid_client", "0+6x40", client="none"), requests("ok", "0+4x40")],
              {"job": "claimgate-issuer", "endpoint": "token", "result": "invalid_client"},
              "60% of all requests for token are refused: invalid_client"),
        stays(30, [requests("invalid_scope", "0+4x40"), requests("ok", "0+6x40")]),
        # Of another endpoint; and the issuer's own fault, which is another alert's.
        stays(30, [requests("invalid_grant", "0+4x40"), requests("ok", "0+6x40"), requests("ok", "0+1x40", endpoint="revoke"),
                   requests("unavailable", "0+9x40", endpoint="revoke")]),
    ],
    "ClaimgateIssuerThrottles": [
        fires(20, [requests("too_many_requests", "0+5x40", client="none")], {**_INSTANCE, "client": "none"},
              "i:9195 tells client none to come back later, again and again"),
        # Once.
        stays(20, [requests("too_many_requests", "0x5 9x30"), requests("ok", "0+5x40")]),
    ],
    "ClaimgateIssuerRefreshTokenReused": [
        fires(10, [of("claimgate_issuer_refresh_reuse_total", 'client="worker"', "0x5 1x20")], {"job": "claimgate-issuer", "client": "worker"},
              "A refresh token of client worker came a second time"),
        stays(90, [of("claimgate_issuer_refresh_reuse_total", 'client="worker"', "0x5 1x100")]),
    ],
    "ClaimgateIssuerRevocationsNotWritten": [
        fires(10, [of(UNWRITTEN, "", "0x5 2x20")], PROCESS, "i:9195 cannot write revocations"),
        fires(8, [of("claimgate_issuer_revocations_total", 'kind="subject",result="failed"', "0x4 1+1x20")], PROCESS,
              "i:9195 cannot write revocations"),
        stays(20, [of(UNWRITTEN, "", "0x5 1 0x20"), of("claimgate_issuer_revocations_total", 'kind="subject",result="failed"', "3x30"),
                   of("claimgate_issuer_revocations_total", 'kind="subject",result="ok"', "0+1x30")]),
    ],
    "ClaimgateIssuerSlow": [
        fires(20, durations("token", ("0.25", 90), ("1", 100), ("3", 100), ("+Inf", 100)), _INSTANCE,
              "i:9195 takes 925ms or more for one token in a hundred"),
        stays(20, durations("token", ("0.05", 100), ("0.25", 100), ("+Inf", 100))),
        # A store may take its time for a logout.
        stays(20, durations("logout", ("0.25", 90), ("1", 100), ("3", 100), ("+Inf", 100))),
    ],
    "ClaimgateIssuerCertificateExpires": [
        fires(20, [of(EXPIRY, 'listener="issuer"', f"{2 * DAY}x30")], {**PROCESS, "listener": "issuer"},
              "The certificate of i:9195, listener issuer, ends within three days"),
        stays(20, [of(EXPIRY, 'listener="issuer"', f"{4 * DAY}x30")]),
    ],
    "ClaimgateIssuerCertificateNotReloaded": [
        fires(90, [of("claimgate_tls_last_reload_successful", 'listener="issuer"', "1x5 0x100")], {**PROCESS, "listener": "issuer"},
              "i:9195 cannot use the renewed certificate of listener issuer"),
        stays(10, [of("claimgate_tls_last_reload_successful", 'listener="issuer"', "1x5 0 1x10")]),
    ],
    "ClaimgateIssuerInDevelopmentProfile": [
        fires(6, [of(BUILD, 'version="0.1.0",profile="development"', "1x10")],
              {**PROCESS, "version": "0.1.0", "profile": "development"}, "i:9195 runs with profile: development"),
        stays(9, [of(BUILD, 'version="0.1.0",profile="production"', "1x10")]),
    ],
}
