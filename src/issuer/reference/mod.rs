//! The reference issuer: what `claimgate issuer` serves. It signs access tokens (RFC 9068) for clients that prove who they
//! are, publishes the keys that verify them, rotates both without a gap, and takes tokens back.
//!
//! It knows no users: no passwords, no consent, no browser. Nothing here listens or spawns; `app::issuer` does.
//!
//! | part | what it is for |
//! | --- | --- |
//! | [`settings`] | what is configured |
//! | [`key_ring`] | the key directory at one moment, and following it |
//! | [`access_token`] | what stands in a token, and reading our own |
//! | [`secret_hash`], [`authentication`] | client secrets: hashed, compared |
//! | [`limiter`], [`workshop`] | how often, and how much at once |
//! | [`refresh`] | refresh tokens: rotation, and what is used twice |
//! | [`revocations`] | what is taken back, on its way to the services |
//! | [`form`], [`answer`] | requests and answers as RFC 6749 has them |
//! | [`service`] | the parts put together, with `token`, `revoke` and `documents` for the endpoints |

pub mod access_token;
pub mod answer;
pub mod authentication;
mod documents;
pub mod form;
pub mod key_ring;
pub mod limiter;
pub mod refresh;
pub mod revocations;
mod revoke;
pub mod secret_hash;
pub mod service;
pub mod settings;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod token;
pub mod workshop;

pub use self::key_ring::{KeyFollower, KeyRing, KeyRingError};
pub use self::service::ReferenceIssuer;
pub use self::settings::IssuerSettings;
