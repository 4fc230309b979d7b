//! What only the development profile accepts, what nobody does, and what is never printed.

use super::*;

#[test]
fn what_production_refuses_development_allows() {
    let rows = [
        (KEY, "      - jwks_url: http://h/jwks.json\n", "issuers[0].keys[0].jwks_url"),
        (AUDIENCES, "", "issuers[0].audiences"),
        (RULES, "", "rules"),
        (RULES, "rules: []\n", "rules"),
        (
            AUDIENCES,
            "    audiences: [a]\n    refresh: {interval: 29s}\n",
            "issuers[0].refresh.interval",
        ),
        (AUDIENCES, "    audiences: [a]\n    refresh: {min: 1s}\n", "issuers[0].refresh.min"),
        (AUDIENCES, "    audiences: [a]\n    refresh: {max: 5s}\n", "issuers[0].refresh.max"),
        (
            AUDIENCES,
            "    audiences: [a]\n    refresh: {max_stale: 9s}\n",
            "issuers[0].refresh.max_stale",
        ),
    ];
    for (line, replacement, place) in rows {
        let text = with(line, replacement);
        assert_eq!(places(&text), [place], "{replacement}: {:?}", mistakes(&text));
        assert_eq!(places(&format!("profile: production\n{text}")), [place], "{replacement}");
        let development = format!("profile: development\n{text}");
        assert!(read(&development).is_ok(), "{replacement}: {:?}", mistakes(&development));
    }
    let unchecked = read(&format!("profile: development\n{}", with(AUDIENCES, ""))).unwrap();
    assert_eq!(unchecked.issuers[0].audiences, Audiences::DangerNotChecked);
    let too_often = with(AUDIENCES, "    refresh: {interval: 999ms}\n");
    assert_eq!(
        places(&format!("profile: development\n{too_often}")),
        ["issuers[0].refresh.interval"]
    );
}

#[test]
fn no_profile_accepts_shared_secrets_unsigned_tokens_or_published_private_keys() {
    for profile in ["production", "development"] {
        for (name, telling) in
            [("HS512", "shared secret"), ("none", "unsigned"), ("RS265", "did you mean")]
        {
            let text =
                with(AUDIENCES, &format!("    audiences: [a]\n    algorithms: [RS256, {name}]\n"));
            let found = mistakes(&format!("profile: {profile}\n{text}"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("issuers[0].algorithms[1]: "), "{found:?}");
            assert!(found[0].contains(telling), "{found:?}");
        }
        for key in
            ["{kty: EC, crv: P-256, x: hidden, y: hidden, d: hidden}", "{kty: oct, k: hidden}"]
        {
            let text = with(KEY, &format!("      - jwks: {{keys: [{key}]}}\n"));
            let found = mistakes(&format!("profile: {profile}\n{text}"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("issuers[0].keys[0].jwks.keys[0]: found a "), "{found:?}");
        }
    }
}

#[test]
fn no_mistake_repeats_a_secret() {
    let rows = [
        "      - jwks_url: https://user:hidden@h/jwks.json\n",
        "      - jwks_url: ftp://user:hidden@h/jwks.json\n",
        "      - jwks_url: https:user:hidden@h/jwks.json\n",
        "      - jwks_url: ftp://h/jwks.json?token=hidden\n",
        "      - jwks_url: [https://user:hidden@h/]\n",
        "      - jwks_url: http://hidden@h\n",
        "      - jwks: hidden\n",
        "      - jwks: [hidden]\n",
        "      - jwks: {keys: hidden}\n",
        "      - jwks: {keys: [{kty: EC, crv: P-256, x: hidden, y: hidden, d: hidden}]}\n",
        "      - jwks: {keys: [{kty: oct, k: hidden}]}\n",
        "      - jwks_file: {keys: [{kty: oct, k: hidden}]}\n",
        "      - jwks_url: |\n          -----BEGIN PRIVATE KEY-----\n          hidden\n",
        "      - {kty: oct, k: hidden}\n",
        "      - jwks: {keys: [{kty: oct, k: hidden, k: hidden}]}\n",
        "      - jwks: {keys: [{kty: oct, k: \"hidden]}\n",
        "      - jwks: *hidden\n",
        "      - jwks: !hidden {keys: []}\n",
    ];
    for replacement in rows {
        let found = mistakes(&with(KEY, replacement)).join("\n");
        assert!(!found.is_empty(), "{replacement}");
        assert!(!found.contains("hidden"), "{replacement}: {found}");
    }
}
