//! What is remembered of tokens: nothing that would not be verified right now.

use super::*;
use crate::keys::store::KeySnapshot;

type Cache = VerifiedTokenCache<()>;

impl Fixture {
    fn known(&self, cache: &Cache, token: &str, now: i64) -> Result<(), Refusal> {
        self.known_with(cache, token, &self.keys.load(), now)
    }

    fn known_with(
        &self,
        cache: &Cache,
        token: &str,
        keys: &KeySnapshot,
        now: i64,
    ) -> Result<(), Refusal> {
        let now = UnixTime::from_secs(now).unwrap();
        let known = self.verifier.verify_known(Some(cache), RawToken::new(token), keys, now);
        known.map(drop).map_err(|refused| refused.refusal)
    }
}

fn counts(cache: &Cache) -> (u64, u64) {
    let stats = cache.stats();
    (stats.hits, stats.misses)
}

#[test]
fn a_token_that_comes_again_is_known() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let token = genuine(&json!({}));
    for expected in [(0, 1), (1, 1), (2, 1)] {
        assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
        assert_eq!(counts(&cache), expected);
    }
    assert!(cache.stats().bytes > u64::try_from(token.len()).unwrap());
}

#[test]
fn only_verified_tokens_get_in_and_no_part_of_one_is_taken_for_it() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let token = genuine(&json!({}));
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    let bytes = cache.stats().bytes;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = genuine(&json!({"sub": "bob"}));
    let (other_signed, other_signature) = other.rsplit_once('.').unwrap();
    for (twin, refusal) in [
        (format!("{signed}.{other_signature}"), Refusal::BadSignature),
        (format!("{other_signed}.{signature}"), Refusal::BadSignature),
        (format!("{token}="), Refusal::Malformed),
        (token.strip_suffix(|_| true).unwrap().to_owned(), Refusal::Malformed),
        (format!("{token} "), Refusal::Malformed),
    ] {
        for _ in 0..2 {
            assert_eq!(fixture.known(&cache, &twin, NOW), Err(refusal), "{twin}");
        }
    }
    assert_eq!(counts(&cache), (0, 11));
    assert_eq!(cache.stats().bytes, bytes);
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    assert_eq!(counts(&cache), (1, 11));
}

#[test]
fn a_known_token_expires_like_any_other_and_is_forgotten() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let token = genuine(&json!({"exp": NOW + 60}));
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    assert_eq!(fixture.known(&cache, &token, NOW + 89), Ok(()));
    assert_eq!(fixture.known(&cache, &token, NOW + 90), Err(Refusal::Expired));
    assert_eq!(cache.stats().bytes, 0);
    // A clock that is set back makes it good again, as it makes any token, and it is verified again.
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    assert_eq!(counts(&cache), (1, 3));
}

#[test]
fn a_known_token_goes_with_its_key() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let token = genuine(&json!({}));
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    let label = fixture.verifier.issuers()[0].label.clone();
    publish(&fixture.keys, &label, &[&P256]);
    assert_eq!(fixture.known(&cache, &token, NOW), Err(Refusal::UnknownKid));
    // Another key by the same name is another key.
    publish(&fixture.keys, &label, &[&OTHER_RSA, &P256]);
    assert_eq!(fixture.known(&cache, &token, NOW), Err(Refusal::BadSignature));
    publish(&fixture.keys, &label, &[&RSA, &P256]);
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    // Keys that stay stay good, whatever comes and goes beside them.
    publish(&fixture.keys, &label, &[&RSA]);
    let before = cache.stats().hits;
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    assert_eq!(cache.stats().hits, before + 1);
}

#[test]
fn a_known_token_is_refused_while_its_keys_are_too_old() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let label = fixture.verifier.issuers()[0].label.clone();
    let document = json!({ "keys": [RSA.public_jwk()] }).to_string();
    let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 8).unwrap();
    let until = UnixTime::from_secs(NOW + 10);
    let id = SourceId { issuer: label, source: Label::new(0, "0") };
    fixture.keys.publish(&id, SourceKeys::new(jwks, until));
    let token = genuine(&json!({}));
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    assert_eq!(fixture.known(&cache, &token, NOW + 20), Err(Refusal::KeysUnavailable));
}

fn mint_one(n: usize) -> String {
    let claims =
        json!({"iss": ISSUER, "aud": "orders", "exp": NOW + 600, "sub": format!("user-{n}")});
    mint(&ED25519, &claims).unwrap()
}

#[test]
fn tokens_that_come_once_push_out_none_that_comes_again_and_the_bound_holds() {
    let fixture = Fixture::new();
    let most = 1 << 20;
    let cache = Cache::new(most);
    let hot: Vec<String> = (0..20).map(mint_one).collect();
    let mut once = 1000;
    for _ in 0..200 {
        for token in &hot {
            assert_eq!(fixture.known(&cache, token, NOW), Ok(()));
        }
        for _ in 0..20 {
            once += 1;
            assert_eq!(fixture.known(&cache, &mint_one(once), NOW), Ok(()));
        }
        assert!(cache.stats().bytes <= most as u64, "{:?}", cache.stats());
    }
    let stats = cache.stats();
    assert!(stats.bytes > most as u64 / 2, "{stats:?} tests nothing: all of it fits");
    // One told that it is full; what came once after that did not get in.
    assert!((1..100).contains(&stats.evictions), "{stats:?}");
    // Every hot token was verified once, and a few of them perhaps once more.
    assert!(stats.hits > 199 * 20 - 60, "{stats:?}");
}

#[test]
fn a_full_cache_takes_in_what_comes_again() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let mut once = 0;
    while cache.stats().evictions == 0 {
        once += 1;
        assert_eq!(fixture.known(&cache, &mint_one(once), NOW), Ok(()));
    }
    // Those that fill it are of no use any more, and go for the sake of as many others.
    let others: Vec<String> = (0..40).map(|n| mint_one(10_000 + n)).collect();
    for _ in 0..4 {
        for token in &others {
            assert_eq!(fixture.known(&cache, token, NOW), Ok(()));
        }
    }
    // Seen, taken in, and known twice, but for the few of which two have one place at the door.
    let stats = cache.stats();
    assert!(stats.hits >= 50 && stats.evictions > 1, "{stats:?}");
}

#[test]
fn a_token_that_ends_like_a_known_one_is_another_token() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let token = genuine(&json!({}));
    assert_eq!(fixture.known(&cache, &token, NOW), Ok(()));
    let (_, signature) = token.rsplit_once('.').unwrap();
    let (signed, _) = genuine(&json!({"sub": "mallory"}))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let forged = format!("{signed}.{signature}");
    for _ in 0..3 {
        assert_eq!(fixture.known(&cache, &forged, NOW), Err(Refusal::BadSignature));
    }
    assert_eq!(counts(&cache), (0, 4));
}

/// The fast way and its slow twin decide alike, whatever happens between two requests.
#[test]
fn a_cache_changes_no_answer() {
    let (fixture, cache) = (Fixture::new(), Cache::new(1 << 20));
    let label = fixture.verifier.issuers()[0].label.clone();
    let mut state = 11_u64;
    let mut pick = move |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % most
    };
    let mut tokens = Vec::new();
    for n in 0..24_i64 {
        let claims = json!({
            "iss": ISSUER, "aud": "orders", "sub": "a", "exp": NOW + n * 20 - 100, "nbf": NOW + n * 5 - 60,
        });
        let key = [&*RSA, &*P256, &*ED25519, &*OTHER_RSA][pick(4)];
        tokens.push(mint(key, &claims).unwrap());
    }
    let (mut now, mut agreed) = (NOW, [0, 0]);
    for _ in 0..4000 {
        match pick(40) {
            0 => publish(&fixture.keys, &label, &[&P256, &ED25519]),
            1 => publish(&fixture.keys, &label, &[&OTHER_RSA]),
            2..=9 => publish(&fixture.keys, &label, &[&RSA, &P256, &ED25519]),
            10..=14 => now += i64::try_from(pick(41)).unwrap() - 20,
            _ => {}
        }
        let token = &tokens[pick(tokens.len())];
        let slow = fixture.verifier.verify(
            RawToken::new(token),
            &fixture.keys.load(),
            UnixTime::from_secs(now).unwrap(),
        );
        let slow = slow.map(drop).map_err(|refused| refused.refusal);
        agreed[usize::from(slow.is_ok())] += 1;
        assert_eq!(fixture.known(&cache, token, now), slow, "at {now}");
    }
    assert!(agreed[0] > 200 && agreed[1] > 200 && cache.stats().hits > 100, "{agreed:?} {cache:?}");
}
