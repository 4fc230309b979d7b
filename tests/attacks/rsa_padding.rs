//! The block inside an RSA signature, made with the real private key: PKCS#1 v1.5 (RFC 8017 §8.2 and §9.2) and PSS (§8.1 and
//! §9.1) as they must not be. A verifier that takes a block apart, and does not make and compare it, accepts some.

use aws_lc_rs::digest::{Algorithm as Hash, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, digest};
use serde_json::json;

use crate::key::{SHA256_INFO, pkcs1_block};
use crate::table::Attack;
use crate::world::{World, encode};

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let mut rows = pkcs1(world);
    rows.extend(pss(world));
    rows
}

const V1_5: &str = "CVE-2006-4339, RFC 8017 §8.2.2";

fn pkcs1(world: &World) -> Vec<Attack> {
    let bytes = world.raw.bytes();
    let block = |make: &dyn Fn(&[u8]) -> Vec<u8>| {
        let input = input(world, "RS256");
        let block = make(input.as_bytes());
        assert_eq!(block.len(), bytes);
        format!("{input}.{}", encode(world.raw.sign(&block)))
    };
    let hashed = |message: &[u8]| digest(&SHA256, message).as_ref().to_vec();
    // 00 01, filling up to the length, 00, and this.
    let filled = |rest: &[u8]| {
        let filling = vec![0xff; bytes - 3 - rest.len()];
        [&[0, 1], filling.as_slice(), &[0], rest].concat()
    };
    let info = |info: &[u8], message: &[u8]| filled(&[info, &hashed(message)].concat());
    let changed = |at: usize, octet: u8| {
        block(&|message| {
            let mut block = pkcs1_block(message, bytes);
            block[at] = octet;
            block
        })
    };
    let bad = |name, reference, vectors: Vec<String>| {
        Attack::denied(name, reference, "bad_signature", vectors)
    };
    vec![
        Attack::allowed("control: the block as it must be", V1_5, {
            [block(&|message| pkcs1_block(message, bytes))]
        }),
        bad("garbage behind the hash", "CVE-2006-4339", {
            [8, 0, 100]
                .map(|filling| {
                    block(&|message| {
                        let start = [&[0, 1], vec![0xff; filling].as_slice(), &[0]].concat();
                        let mut block = [start.as_slice(), &SHA256_INFO, &hashed(message)].concat();
                        block.resize(bytes, 0xaa);
                        block
                    })
                })
                .into()
        }),
        bad("zeros behind the hash", "CVE-2016-1494", {
            vec![block(&|message| filled(&[&SHA256_INFO, &hashed(message)[..], &[0; 8]].concat()))]
        }),
        bad("garbage inside the DigestInfo", "CVE-2014-1568", {
            // The parameters are an OCTET STRING of sixteen octets in place of NULL.
            let mut long = SHA256_INFO[..15].to_vec();
            long[1] += 16;
            long[3] += 16;
            long.extend([4, 16]);
            long.extend([0xaa; 16]);
            long.extend([4, 32]);
            vec![block(&|message| info(&long, message))]
        }),
        bad("DigestInfo without NULL", "RFC 8017 §A.2.4", {
            let mut short = [&SHA256_INFO[..15], &SHA256_INFO[17..]].concat();
            short[1] -= 2;
            short[3] -= 2;
            vec![block(&|message| info(&short, message))]
        }),
        bad("BER lengths in the DigestInfo", "CVE-2014-1568", {
            let outer = [&[0x30, 0x81, 0x31], &SHA256_INFO[2..]].concat();
            let inner = [&[0x30, 0x32, 0x30, 0x0d], &SHA256_INFO[4..17], &[4, 0x81, 0x20]].concat();
            vec![block(&|message| info(&outer, message)), block(&|message| info(&inner, message))]
        }),
        bad("the OID of another hash", "RFC 8017 §9.2", {
            [2, 3, 4]
                .map(|last| {
                    let mut other = SHA256_INFO;
                    other[14] = last;
                    block(&|message| info(&other, message))
                })
                .into()
        }),
        bad("a hash that is not the algorithm's", "RFC 8017 §9.2", {
            let sha1 = [0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14];
            vec![block(&|message| {
                filled(&[&sha1[..], digest(&SHA1_FOR_LEGACY_USE_ONLY, message).as_ref()].concat())
            })]
        }),
        bad("no DigestInfo, or nothing", "RFC 8017 §9.2", {
            vec![block(&|message| filled(&hashed(message))), block(&|_| filled(&[]))]
        }),
        bad("another block type", "RFC 2313 §8.1", {
            vec![changed(1, 0), changed(1, 2), changed(0, 1)]
        }),
        bad("filling that is not FF", "RFC 8017 §9.2", {
            vec![changed(2, 0), changed(9, 0xfe), changed(100, 0), changed(bytes - 53, 0xfe)]
        }),
        bad("no zero before the DigestInfo", "RFC 8017 §9.2", vec![changed(bytes - 52, 0xff)]),
    ]
}

/// What is wrong with a PSS block; the default is nothing.
#[derive(Clone)]
struct Pss {
    salt: usize,
    hash: &'static Hash,
    mask: &'static Hash,
    trailer: u8,
    separator: u8,
    filling: u8,
    top_bit: u8,
}

impl Default for Pss {
    /// RFC 7518 §3.5 for PS256.
    fn default() -> Self {
        let hash = &SHA256;
        Self { salt: 32, hash, mask: hash, trailer: 0xbc, separator: 1, filling: 0, top_bit: 0 }
    }
}

fn pss(world: &World) -> Vec<Attack> {
    let token = |pss: Pss| {
        let input = input(world, "PS256");
        let block = pss.block(input.as_bytes(), world.raw.bytes());
        format!("{input}.{}", encode(world.raw.sign(&block)))
    };
    let bad = |name, reference, vectors: Vec<Pss>| {
        Attack::denied(name, reference, "bad_signature", vectors.into_iter().map(token))
    };
    let usual = Pss::default;
    let rfc = "RFC 7518 §3.5";
    let encoding = "RFC 8017 §9.1.2";
    vec![
        Attack::allowed("control: PSS as it must be", rfc, [token(usual())]),
        bad("PSS with a salt of another length", rfc, {
            [0, 1, 20, 31, 33, 48, 64, 222].map(|salt| Pss { salt, ..usual() }).into()
        }),
        bad("PSS with MGF1 of another hash", rfc, {
            vec![
                Pss { mask: &SHA1_FOR_LEGACY_USE_ONLY, ..usual() },
                Pss { mask: &SHA384, ..usual() },
            ]
        }),
        bad("PSS with another hash", rfc, {
            vec![
                Pss { hash: &SHA384, mask: &SHA384, salt: 48, ..usual() },
                Pss { hash: &SHA1_FOR_LEGACY_USE_ONLY, salt: 20, ..usual() },
            ]
        }),
        bad("PSS with another trailer", encoding, {
            [0, 0xcc, 0xbd].map(|trailer| Pss { trailer, ..usual() }).into()
        }),
        bad("PSS with another separator or filling", encoding, {
            vec![
                Pss { separator: 0, ..usual() },
                Pss { separator: 2, ..usual() },
                Pss { filling: 1, ..usual() },
            ]
        }),
        bad("PSS with its top bit set", encoding, vec![Pss { top_bit: 0x80, ..usual() }]),
    ]
}

impl Pss {
    /// EMSA-PSS-ENCODE for a modulus of eight bits an octet: the topmost bit is not used.
    fn block(&self, message: &[u8], bytes: usize) -> Vec<u8> {
        let salt = vec![7; self.salt];
        let hashed = digest(self.hash, message);
        let h = digest(self.hash, &[&[0; 8], hashed.as_ref(), &salt].concat());
        let h = h.as_ref();
        let filling = vec![self.filling; bytes - self.salt - h.len() - 2];
        let mut data = [filling.as_slice(), &[self.separator], &salt].concat();
        let mask = (0_u32..).flat_map(|counter| {
            digest(self.mask, &[h, &counter.to_be_bytes()].concat()).as_ref().to_vec()
        });
        data.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
        data[0] = data[0] & 0x7f | self.top_bit;
        [data.as_slice(), h, &[self.trailer]].concat()
    }
}

fn input(world: &World, algorithm: &str) -> String {
    let header = json!({"alg": algorithm, "kid": "any"}).to_string();
    format!("{}.{}", encode(header), encode(world.claims().to_string()))
}
