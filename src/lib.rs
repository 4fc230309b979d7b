//! claimgate: an Envoy external-authorization service that verifies JWTs against last-known-good keys
//! and hands the verified claims to the upstream as headers.
//!
//! This page is the map. Modules are listed in layer order: each may import only from the layers below
//! it (`tests/layering.rs` holds the imports against the table there).
//!
//! | layer | module | what it is for |
//! | --- | --- | --- |
//! | 6 | [`cli`] | one file a subcommand: its arguments and its `run()` |
//! | 5 | [`app`] | the composition root: tasks, readiness, signals, the order of a drain |
//! | 4 | [`config`] | YAML → [`config::Config`], every mistake at once, each with its path |
//! | 4 | [`server`] | the adapters: Envoy's gRPC API, HTTP forward-auth and the admin port. They translate and record; they decide nothing |
//! | 4 | [`issuer`] | minting, the development identity provider, and the reference issuer |
//! | 3 | [`check`] | pure: which rule applies, is the token good enough for it, which headers go on |
//! | 2 | [`token`] | pure: raw text → unverified JWS → verified token |
//! | 2 | [`keys`] | verification keys: parsing, the snapshot that requests read, the refresh that replaces it; and the life of signing keys |
//! | 2 | [`revocation`] | what was taken back before it expired: the snapshot that requests look into, and the sources that it follows |
//! | 1 | [`telemetry`] | logs, metrics, the decision log |
//! | 0 | [`util`], [`proto`] | time, strict JSON, back-off; the generated Envoy types |
//!
//! # Glossary
//!
//! * **JWS, JWKS, kid, claims, issuer, audience**: as in RFC 7515, 7517 and 7519.
//! * **Issuer**: what we trust of one identity provider. Keys belong to an issuer; a key of one never
//!   verifies a token of another.
//! * **Source**: one place that an issuer's keys come from (a URL, a file, the configuration).
//! * **Snapshot**: an immutable value that a request loads once; refreshes build a whole new one and swap it in.
//! * **Decision**: allow, with header mutations, or a denial, with one reason out of a closed list.

pub mod app;
pub mod check;
pub mod cli;
pub mod config;
pub mod issuer;
pub mod keys;
pub mod proto;
pub mod revocation;
pub mod server;
pub mod telemetry;
pub mod token;
pub mod util;
