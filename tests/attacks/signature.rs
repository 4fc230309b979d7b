//! The signature itself, of a key that is trusted (RFC 7518 §3.3 to §3.5, RFC 8032 §5.1.7).

use claimgate::issuer::SigningKey;
use num_bigint::BigUint;
use serde_json::json;

use crate::arithmetic::{order, order_of_ed25519, padded, small_order_points};
use crate::table::Attack;
use crate::world::{World, encode, parts, resigned, signature_of};

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let mut rows = manipulations(world);
    rows.extend(of_other_content(world));
    rows.extend(ecdsa(world));
    rows.extend(ed25519(world));
    rows.extend(rsa(world));
    rows
}

fn bad(
    name: &'static str,
    reference: &'static str,
    vectors: impl IntoIterator<Item = String>,
) -> Attack {
    Attack::denied(name, reference, "bad_signature", vectors)
}

/// Each of these on a signature of every kind of key.
fn manipulations(world: &World) -> Vec<Attack> {
    let keys = [&world.rsa, &world.any, &world.p256, &world.p384, &world.p521, &world.ed];
    let row = |name, reference, change: &dyn Fn(&[u8]) -> Vec<u8>| {
        bad(
            name,
            reference,
            keys.map(|key| {
                let token = world.good(key);
                resigned(&token, change(&signature_of(&token)))
            }),
        )
    };
    let general = "RFC 7515 §5.2";
    let flipped = |octets: &[u8], at: usize, bit: u8| {
        let mut octets = octets.to_vec();
        octets[at] ^= 1 << bit;
        octets
    };
    vec![
        Attack::denied("no signature", "CVE-2020-28042", "malformed", {
            keys.map(|key| resigned(&world.good(key), []))
        }),
        row("one octet for a signature", "CVE-2020-28042", &|_| vec![0]),
        row("the signature cut short", general, &|octets| octets[..octets.len() - 1].to_vec()),
        row("half of the signature", general, &|octets| octets[..octets.len() / 2].to_vec()),
        row("the signature without its first octet", general, &|octets| octets[1..].to_vec()),
        row("an octet more", general, &|octets| [octets, &[0]].concat()),
        row("an octet in front", general, &|octets| [&[0], octets].concat()),
        row("the signature twice", general, &|octets| octets.repeat(2)),
        row("all zeros", general, &|octets| vec![0; octets.len()]),
        row("all ones", general, &|octets| vec![0xff; octets.len()]),
        row("one", general, &|octets| padded(&1_u8.into(), octets.len())),
        row("backwards", general, &|octets| octets.iter().rev().copied().collect()),
        row("halves exchanged", general, &|octets| {
            let (a, b) = octets.split_at(octets.len() / 2);
            [b, a].concat()
        }),
        row("first bit turned over", general, &|octets| flipped(octets, 0, 7)),
        row("last bit turned over", general, &|octets| flipped(octets, octets.len() - 1, 0)),
        row("a bit in the middle", general, &|octets| flipped(octets, octets.len() / 2, 3)),
        row("complement", general, &|octets| octets.iter().map(|octet| !octet).collect()),
        row("a long signature", general, &|_| vec![1; 8000]),
    ]
}

fn of_other_content(world: &World) -> Vec<Attack> {
    let keys = [&world.rsa, &world.any, &world.p256, &world.p384, &world.p521, &world.ed];
    let forged = encode(world.claims_with(&json!({"sub": "mallory"})).to_string());
    let over = |key: &SigningKey, message: &[u8]| {
        let token = world.good(key);
        resigned(&token, key.sign(message).unwrap())
    };
    vec![
        bad(
            "another payload under the signature",
            "RFC 7515 §5.2",
            keys.map(|key| {
                let token = world.good(key);
                let [header, _, signature] = parts(&token);
                format!("{header}.{forged}.{signature}")
            }),
        ),
        bad(
            "another header over the signature",
            "RFC 7515 §5.2",
            keys.map(|key| {
                let token = world.good(key);
                let [_, payload, signature] = parts(&token);
                let header = json!({"kid": key.kid(), "alg": key.algorithm().name()}).to_string();
                format!("{}.{payload}.{signature}", encode(header))
            }),
        ),
        bad(
            "signed over what is encoded",
            "RFC 7515 §5.1",
            keys.map(|key| over(key, world.claims().to_string().as_bytes())),
        ),
        bad("signed over a part", "RFC 7515 §5.1", {
            keys.into_iter().flat_map(|key| {
                let token = world.good(key);
                let [header, payload, _] = parts(&token);
                [header, payload, ""].map(|part| over(key, part.as_bytes()))
            })
        }),
        bad(
            "the signature of another key of its kind",
            "RFC 7515 §5.2",
            keys.map(|key| {
                let other = SigningKey::generate(key.algorithm()).unwrap().with_kid(key.kid());
                world.good(&other)
            }),
        ),
    ]
}

fn ecdsa(world: &World) -> Vec<Attack> {
    let keys = [&world.p256, &world.p384, &world.p521];
    // Of each curve: the token, r, s, the order, and the octets of each.
    let signed = || {
        keys.map(|key| {
            let token = world.good(key);
            let signature = signature_of(&token);
            let bytes = signature.len() / 2;
            let number = |octets: &[u8]| BigUint::from_bytes_be(octets);
            let (r, s) = (number(&signature[..bytes]), number(&signature[bytes..]));
            (token, r, s, order(bytes), bytes)
        })
    };
    let with = |token: &str, r: &BigUint, s: &BigUint, bytes: usize| {
        // One that does not fit is another length, which is refused for that.
        resigned(token, [padded(r, bytes), padded(s, bytes)].concat())
    };
    let (zero, one) = (BigUint::ZERO, BigUint::from(1_u8));
    let psychic = "CVE-2022-21449";
    let form = "RFC 7518 §3.4";
    vec![
        bad(
            "ECDSA with r or s of 0",
            psychic,
            signed().into_iter().flat_map(|(token, r, s, _, bytes)| {
                [(&zero, &zero), (&zero, &s), (&r, &zero)].map(|(r, s)| with(&token, r, s, bytes))
            }),
        ),
        bad("ECDSA with r or s of the order", "CVE-2021-43572", {
            signed().into_iter().flat_map(|(token, r, s, n, bytes)| {
                [(&n, &n), (&n, &s), (&r, &n), (&zero, &n)].map(|(r, s)| with(&token, r, s, bytes))
            })
        }),
        bad(
            "ECDSA with r and s of 1",
            psychic,
            signed().into_iter().map(|(token, _, _, _, bytes)| with(&token, &one, &one, bytes)),
        ),
        bad("ECDSA with the order added", "SEC 1 §4.1.4", {
            signed().into_iter().flat_map(|(token, r, s, n, bytes)| {
                [(&r + &n, s.clone()), (r.clone(), &s + &n), (r + &n, s + &n)]
                    .map(|(r, s)| with(&token, &r, &s, bytes))
            })
        }),
        bad(
            "ECDSA in DER",
            form,
            signed().map(|(token, r, s, _, _)| {
                let integer = |number: &BigUint| {
                    let octets = number.to_bytes_be();
                    let sign = octets[0] >= 0x80;
                    let body: Vec<u8> = sign.then_some(0).into_iter().chain(octets).collect();
                    [&[2, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
                };
                let body = [integer(&r), integer(&s)].concat();
                let length = u8::try_from(body.len()).unwrap();
                let head =
                    if length < 0x80 { vec![0x30, length] } else { vec![0x30, 0x81, length] };
                resigned(&token, [head, body].concat())
            }),
        ),
        bad(
            "ECDSA with zero in DER",
            psychic,
            signed().map(|(token, ..)| resigned(&token, [0x30, 6, 2, 1, 0, 2, 1, 0])),
        ),
        bad(
            "ECDSA widened",
            form,
            signed().map(|(token, r, s, _, bytes)| with(&token, &r, &s, bytes + 1)),
        ),
        bad("ECDSA with a leading zero left out", form, {
            keys.map(|key| {
                let token = with_leading_zero(world, key);
                resigned(&token, &signature_of(&token)[1..])
            })
        }),
        Attack::allowed("control: a leading zero where it belongs", form, {
            keys.map(|key| with_leading_zero(world, key))
        }),
        // The same token to everybody who looks at its claims, and nothing here looks at its text.
        Attack::allowed("control: the high-s twin of ECDSA, the same claims", "SEC 1 §4.1.4", {
            signed().map(|(token, r, s, n, bytes)| with(&token, &r, &(n - s), bytes))
        }),
    ]
}

/// A good token whose signature begins with an octet of zero.
fn with_leading_zero(world: &World, key: &SigningKey) -> String {
    let tokens = (0..).map(|nth| {
        let claims = world.claims_with(&json!({"nth": nth}));
        crate::kept::mint(key, &claims).unwrap()
    });
    let mut found = tokens.take(100_000).filter(|token| signature_of(token)[0] == 0);
    found.next().expect("one in 256 is")
}

fn ed25519(world: &World) -> Vec<Attack> {
    let token = world.good(&world.ed);
    let signature = signature_of(&token);
    let (r, s) = signature.split_at(32);
    let with = |r: &[u8], s: &[u8]| resigned(&token, [r, s].concat());
    let added = |times: u8| {
        let sum = BigUint::from_bytes_le(s) + order_of_ed25519() * times;
        let mut octets = sum.to_bytes_le();
        octets.resize(32, 0);
        with(r, &octets)
    };
    let mut negative = r.to_vec();
    negative[31] ^= 0x80;
    vec![
        bad("Ed25519 with the order added to S", "RFC 8032 §5.1.7, CVE-2020-36843", {
            [1, 2, 7].map(added)
        }),
        bad("Ed25519 with an R of small order", "RFC 8032 §5.1.7", {
            small_order_points()
                .into_iter()
                .flat_map(|point| [with(&point, &[0; 32]), with(&point, s)])
        }),
        bad("Ed25519 with an R that is no point, or negative", "RFC 8032 §5.1.3", {
            [with(&[0xff; 32], s), with(&negative, s), with(&[2; 32], s)]
        }),
        bad("Ed25519 with S of 0 or of the order", "RFC 8032 §5.1.7", {
            [with(r, &[0; 32]), with(r, &order_of_ed25519().to_bytes_le())]
        }),
    ]
}

fn rsa(world: &World) -> Vec<Attack> {
    let (token, n) = (world.good(&world.any), &world.raw.n);
    let s = BigUint::from_bytes_be(&signature_of(&token));
    let with = |number: &BigUint| resigned(&token, padded(number, 256));
    let reference = "RFC 8017 §5.2.2, §8.2.2";
    let one = BigUint::from(1_u8);
    vec![
        bad("RSA with 0, 1, n - 1, n and n + 1", reference, {
            [BigUint::ZERO, one.clone(), n - &one, n.clone(), n + &one].map(|number| with(&number))
        }),
        bad("RSA with the modulus added", reference, [with(&(&s + n)), with(&(&s + n * 2_u8))]),
        bad("RSA negated", reference, [with(&(n - &s))]),
        bad("RSA with a leading zero left out", reference, {
            let token = with_leading_zero(world, &world.any);
            [resigned(&token, &signature_of(&token)[1..])]
        }),
        Attack::allowed("control: a leading zero of RSA where it belongs", reference, {
            [with_leading_zero(world, &world.any)]
        }),
    ]
}
