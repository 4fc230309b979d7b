//! claimgate: an Envoy external-authorization service that verifies JWTs against last-known-good keys
//! and hands the verified claims to the upstream as headers.
//!
//! This page is the map. Modules are listed in layer order: each may import only from the layers below it, and from beside
//! itself only the few things that the tables of `tests/layering.rs` name; that test holds every import against them.
//!
//! | layer | module | what it is for |
//! | --- | --- | --- |
//! | 7 | `main` | the binary: what [`cli::run`] says is its exit code |
//! | 6 | [`cli`] | one module a subcommand: its arguments and its `run` |
//! | 5 | [`app`] | the composition root, of the service and of the reference issuer: tasks, readiness, signals, a new configuration put in force, the order of a drain |
//! | 4 | [`config`] | YAML → [`config::Config`], every mistake at once, each with its path; its JSON Schema and its page |
//! | 4 | [`server`] | the adapters: Envoy's gRPC API, HTTP forward-auth and the admin ports; listeners, TLS and connections below them. They translate and record; they decide nothing |
//! | 4 | [`issuer`] | minting, the development identity provider, and the reference issuer |
//! | 3 | [`check`] | pure: which rule applies, is the token good enough for it, which headers go on |
//! | 2 | [`token`] | pure: raw text → unverified JWS → verified token; and the tokens that are remembered |
//! | 2 | [`keys`] | verification keys: parsing, the snapshot that requests read, the refresh that replaces it; and the life of signing keys |
//! | 2 | [`revocation`] | what was taken back before it expired: the snapshot that requests look into, and the sources that it follows |
//! | 1 | [`telemetry`] | logs, metrics, the decision log |
//! | 0 | [`util`] | time, files and watches on them, TLS as a client, strict JSON, escaping, back-off, labels |
//! | 0 | [`proto`] | Envoy's types, generated |
//!
//! # The way of a request
//!
//! [`server::connections`] takes the connection, [`server::ext_authz`] (or [`server::forward_auth`]) reads a
//! [`check::CheckRequest`] from it, [`server::checks`] bounds how many are under way, and [`check::Authorizer::check`]
//! decides: [`check::rules`] say what has to be proved, [`check::locations`] where the token is, [`token::Verifier`] whether
//! it is genuine, with the keys of a [`keys::store::KeySnapshot`], [`revocation`] whether it was taken back,
//! [`check::requirement`] whether it does, [`check::forward`] what goes on. The adapter writes the [`check::Decision`] down
//! for the proxy, and metrics and log have it. None of that waits for anybody, but for one thing: a token whose key nobody
//! has published yet may wait for a moment while [`keys::demand`] has its source read.
//!
//! Beside requests, and never in their way: [`keys::refresher`] keeps keys fresh, [`revocation::sync`] what is revoked, and
//! [`app`] follows the configuration; each makes a new snapshot and swaps it in.
//!
//! # Glossary
//!
//! Words of the field mean what they mean there: **JWT** and **claims** (RFC 7519), **JWS** (RFC 7515), **JWK**, **JWK Set**
//! or **JWKS**, **kid** (RFC 7517), **`iss`**, **`aud`**, **`sub`**, **`jti`** (RFC 7519), **`sid`** (OpenID Connect
//! back-channel logout), **scope** (RFC 6749). The others are ours:
//!
//! * **Issuer**: what we trust of one identity provider. Keys belong to an issuer; a key of one never
//!   verifies a token of another. The **reference issuer** is the one that claimgate brings, `claimgate issuer`.
//! * **Source**: one place that an issuer's keys come from (a URL, a file, the configuration), or that revocations do.
//! * **Last good keys** (last-known-good): what the last read that succeeded brought. They stay in force while later ones
//!   fail, until they are older than `max_stale`, and over a restart where there is a `state_dir`.
//! * **Snapshot**: an immutable value that a request loads once; refreshes build a whole new one and swap it in.
//! * **Generation**: everything of one configuration that is in force, swapped in like a snapshot.
//! * **Rule**: which requests, and what they must prove. The first that matches decides. In **shadow** mode what it
//!   would have denied is counted and logged, and passes.
//! * **Requirement**: what verified tokens must prove for a rule.
//! * **Plain path**: one that everybody reads alike. Any other has several **readings**, and must do for all of them.
//! * **Claim header**: a header that claimgate sets from verified claims. Its name, however it is spelled, is claimgate's
//!   own: what a client sends under it is removed.
//! * **Decision**: allow, with header mutations, or a denial, with one **reason** out of a closed list
//!   ([`check::DenialReason`]).
//! * **Remembered token**: one that was verified, kept whole, so that it costs no signature when it comes again.
//! * **Revocation entry**: one token, subject, session, key or issuer that is taken back. An **epoch** is the word by which
//!   one store of them is told from another.
//! * **Key directory**: where `claimgate keys` keeps signing keys, each of them next, active, retiring or retired; its
//!   **manifest** says which. A **keyset** is a document of public keys by `kid`, as key-management tools write it.
//! * **Family**: the refresh tokens that follow from one another, which is the session of the access tokens beside them.
//! * **Profile**: how strict to be: production, or development on one's own machine.
//! * **Drain**: the orderly end: not ready, then no new requests, then none.

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
