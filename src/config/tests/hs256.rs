//! Who may accept HS256, how that is said, and what it needs beside it.

use super::*;
use crate::keys::source::HmacFile;

const SECRET: &str = "      - {hmac_file: secret.txt, kid: old}\n";

/// The minimal configuration with these lines on its issuer and these sources.
fn hs256(profile: &str, issuer: &str, keys: &str) -> String {
    let text = with(AUDIENCES, &format!("{AUDIENCES}{issuer}")).replacen(KEY, keys, 1);
    format!("profile: {profile}\n{text}")
}

#[test]
fn hs256_is_accepted_in_development_and_in_production_only_when_it_is_called_a_danger() {
    let both = "    algorithms: [RS256, HS256]\n";
    let danger = "    algorithms: [RS256, HS256]\n    danger_accept_hs256: true\n";
    let keys = format!("{KEY}{SECRET}");
    for (profile, issuer, must_be_private) in
        [("development", both, false), ("development", danger, false), ("production", danger, true)]
    {
        let config = read(&hs256(profile, issuer, &keys)).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.issuers[0].danger_accept_hs256);
        assert_eq!(config.issuers[0].algorithms, AlgorithmSet::from_iter([Algorithm::Rs256]));
        let path = Path::new("/etc/claimgate/secret.txt").to_owned();
        let expected = HmacFile { path, kid: Some("old".to_owned()), must_be_private };
        assert!(matches!(&config.sources[1].kind, SourceKind::Hmac(file) if *file == expected));
    }
    let found = mistakes(&hs256("production", both, &keys));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("issuers[0].algorithms[1]: found \"HS256\""), "{found:?}");
    assert!(found[0].contains("danger_accept_hs256: true"), "{found:?}");
    // An explicit "no" holds in development too.
    let no = "    algorithms: [RS256, HS256]\n    danger_accept_hs256: false\n";
    assert_eq!(places(&hs256("development", no, &keys)), ["issuers[0].algorithms[1]"]);
    assert!(!read(MINIMAL).unwrap().issuers[0].danger_accept_hs256);
}

#[test]
fn each_way_to_sign_needs_keys_of_its_kind_and_no_others() {
    let nameless = "      - hmac_file: secret.txt\n";
    let both_keys = &format!("{KEY}{nameless}");
    let (rs, hs, both) = ("[RS256]", "[HS256]", "[HS256, RS256]");
    let rows: [(&str, &str, &[&str]); 9] = [
        (both, both_keys, &[]),
        (hs, nameless, &[]),
        (rs, KEY, &[]),
        (rs, both_keys, &["issuers[0].keys[1].hmac_file"]),
        (rs, nameless, &["issuers[0].keys[0].hmac_file"]),
        (hs, both_keys, &["issuers[0].keys[0]"]),
        (hs, KEY, &["issuers[0].keys[0]"]),
        (both, KEY, &["issuers[0].keys"]),
        (both, nameless, &["issuers[0].keys"]),
    ];
    for (algorithms, keys, expected) in rows {
        let text = hs256("development", &format!("    algorithms: {algorithms}\n"), keys);
        assert_eq!(places(&text), expected, "{algorithms} {keys} {:?}", mistakes(&text));
    }
    // Without `algorithms` it is RS256.
    assert_eq!(places(&hs256("development", "", both_keys)), ["issuers[0].keys[1].hmac_file"]);
    let told = mistakes(&hs256("development", "    algorithms: [RS256, HS256]\n", KEY)).join("\n");
    assert!(told.contains("hmac_file") && told.contains("HS256"), "{told}");
    // What is wrong with the only secret, or with an algorithm, is not told twice.
    let misspelled = "      - hmac_flie: secret.txt\n";
    let text = hs256("development", "    algorithms: [HS256]\n", misspelled);
    assert_eq!(places(&text), ["issuers[0].keys[0].hmac_flie"]);
    let text = hs256("production", "    algorithms: [HS256]\n", nameless);
    assert_eq!(places(&text), ["issuers[0].algorithms[0]"]);
}

#[test]
fn what_belongs_to_hs256_is_refused_without_it() {
    let danger = "    danger_accept_hs256: true\n";
    for profile in ["production", "development"] {
        let place = ["issuers[0].danger_accept_hs256"];
        assert_eq!(places(&hs256(profile, danger, KEY)), place);
        let other = format!("    algorithms: [ES256]\n{danger}");
        assert_eq!(places(&hs256(profile, &other, KEY)), place);
        for (name, telling) in
            [("HS384", "only HS256"), ("HS512", "only HS256"), ("hs256", "only HS256")]
        {
            let text = hs256(profile, &format!("    algorithms: [RS256, {name}]\n"), KEY);
            let found = mistakes(&text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("issuers[0].algorithms[1]: "), "{found:?}");
            assert!(found[0].contains(telling), "{found:?}");
        }
    }
    let rows = [
        ("      - {hmac_file: ''}\n", "issuers[0].keys[0].hmac_file"),
        ("      - {hmac_file: f, kid: ''}\n", "issuers[0].keys[0].kid"),
        ("      - {hmac_file: f, jwks_file: g}\n", "issuers[0].keys[0]"),
        ("      - hmac_file: f\n      - hmac_file: g\n", "issuers[0].keys[1].kid"),
        (
            "      - {hmac_file: f, kid: a}\n      - {hmac_file: g, kid: a}\n",
            "issuers[0].keys[1].kid",
        ),
        ("      - {hmac_file: f, kid: a}\n      - {hmac_file: f, kid: b}\n", ""),
    ];
    for (keys, place) in rows {
        let text = hs256("development", "    algorithms: [HS256]\n", keys);
        let expected: Vec<&str> = place.split_whitespace().collect();
        assert_eq!(places(&text), expected, "{keys} {:?}", mistakes(&text));
    }
}

#[test]
fn strict_names_an_issuer_that_still_accepts_hs256_and_one_that_accepts_nothing_else() {
    let danger = "    danger_accept_hs256: true\n";
    let weak = |profile, algorithms: &str, danger: &str, keys: &str| {
        let issuer = format!("    algorithms: {algorithms}\n{danger}");
        let config = read(&hs256(profile, &issuer, keys)).unwrap_or_else(|e| panic!("{e}"));
        config.weaknesses().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let both = weak("production", "[RS256, HS256]", danger, &format!("{KEY}{SECRET}"));
    assert_eq!(both.len(), 1, "{both:?}");
    assert!(both[0].starts_with("issuers[0].algorithms: HS256 is still accepted"), "{both:?}");
    let alone = weak("development", "[HS256]", "", SECRET);
    assert_eq!(alone.len(), 2, "{alone:?}");
    assert!(alone[0].starts_with("profile: "), "{alone:?}");
    assert!(alone[1].starts_with("issuers[0].algorithms: only HS256"), "{alone:?}");
    assert!(alone[1].contains("RS256 and its public keys are missing"), "{alone:?}");
    assert_eq!(weak("production", "[RS256]", "", KEY), Vec::<String>::new());
}
