//! Ways around a revocation: other texts of the same token, other types and spellings of what it is known by.

use num_bigint::BigUint;
use serde_json::{Value, json};

use crate::arithmetic::{order, padded};
use crate::kept::{mint, mint_with_header};
use crate::table::Attack;
use crate::world::{ISSUER, World, encode, parts, resigned, sign, signature_of};

/// What the service's configuration revokes.
pub(crate) fn entries() -> Value {
    json!([
        {"kind": "token", "iss": ISSUER, "jti": "gone"},
        {"kind": "session", "iss": ISSUER, "sid": "7"},
        {"kind": "subject", "iss": ISSUER, "sub": "carol", "not_before": "2099-01-01T00:00:00Z"},
    ])
}

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let revoked =
        |name, reference, vectors: Vec<String>| Attack::denied(name, reference, "revoked", vectors);
    let gone = world.claims_with(&json!({"jti": "gone"}));
    let (es256, es384) = (mint(&world.p256, &gone).unwrap(), mint(&world.p384, &gone).unwrap());
    let eddsa = mint(&world.ed, &gone).unwrap();
    let with = |claim: &str, value: &Value| world.with_claims(&json!({ (claim): value }));
    vec![
        revoked("a revoked token", "RFC 7519 §4.1.7", {
            vec![eddsa.clone(), es256.clone(), es384.clone(), mint(&world.rsa, &gone).unwrap()]
        }),
        revoked("the high-s twin of a revoked token", "SEC 1 §4.1.4", {
            vec![high_s(&es256), high_s(&es384)]
        }),
        revoked("a revoked token signed again", "RFC 7515 §5.1", {
            let again = (0..4).map(|_| mint(&world.p256, &gone).unwrap()).collect();
            let other = mint_with_header(&world.ed, &json!({"typ": "at+jwt"}), &gone).unwrap();
            [again, vec![other]].concat()
        }),
        revoked("the claims of a revoked token in another text", "RFC 8259 §7", {
            let text = gone.to_string();
            [
                text.replace("\"gone\"", "\"\\u0067one\""),
                text.replace("jti", "\\u006ati"),
                format!(" {text}\n"),
            ]
            .map(|text| world.with_payload(text))
            .into()
        }),
        Attack::denied("a revoked token in other base64", "RFC 4648 §3.5", "malformed", {
            let [header, payload, signature] = parts(&eddsa);
            let last = signature.chars().last().unwrap();
            // The bits beyond the last octet, which say nothing.
            let twin = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let next = twin.chars().nth(twin.find(last).unwrap() + 1).unwrap();
            let cut = signature.strip_suffix(last).unwrap();
            [
                format!("{header}.{payload}.{cut}{next}"),
                format!("{eddsa}="),
                format!("{header}.{payload}=.{signature}"),
            ]
        }),
        Attack::denied("what is revoked, as another type", "RFC 7519 §4.1", "malformed", {
            [
                with("jti", &json!(["gone"])),
                with("jti", &json!({"gone": true})),
                with("sid", &json!(7)),
                with("sid", &json!(["7"])),
                with("sid", &json!(null)),
                with("sub", &json!(["carol"])),
            ]
        }),
        revoked("a revoked subject's token without iat, or with a fraction", "RFC 7519 §4.1.6", {
            let carol = world.claims_with(&json!({"sub": "carol"}));
            let mut undated = carol.clone();
            undated.as_object_mut().unwrap().shift_remove("iat");
            let fraction =
                carol.to_string().replace(&format!("\"iat\":{}", world.now - 60), "\"iat\":1.5");
            let header = json!({"alg": "EdDSA", "kid": "ed"}).to_string();
            let fraction = sign(&world.ed, &encode(header), &encode(fraction));
            vec![mint(&world.ed, &undated).unwrap(), fraction, mint(&world.ed, &carol).unwrap()]
        }),
        revoked("a revoked session under another subject", "OIDC Front-Channel Logout §3", {
            vec![world.with_claims(&json!({"sid": "7", "jti": "new", "sub": "bob"}))]
        }),
        Attack::allowed("control: what reads like it is another one", "RFC 7519 §4.1.7", {
            ["Gone", "gone ", "gon\u{435}", "gone\u{0}", "", "*"]
                .map(|jti| with("jti", &json!(jti)))
        }),
    ]
}

/// The other signature that is as good (r, n - s).
fn high_s(token: &str) -> String {
    let signature = signature_of(token);
    let bytes = signature.len() / 2;
    let s = order(bytes) - BigUint::from_bytes_be(&signature[bytes..]);
    resigned(token, [&signature[..bytes], &padded(&s, bytes)].concat())
}
