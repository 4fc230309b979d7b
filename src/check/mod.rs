//! Layer 3, pure: may this request pass, and who is it from?
//!
//! [`Authorizer::check`] takes a [`CheckRequest`] and the time and returns a [`Decision`]. It does no I/O,
//! reads no clock, waits for nothing and counts nothing (the only locks are those of the remembered tokens, for as long
//! as a look takes): adapters (`server`) translate requests in and decisions out, and record them. The steps are one
//! module each: [`rules`] → [`locations`] → `token` → `revoked` → [`requirement`] → [`forward`]; [`answer`] says what a
//! denial looks like over HTTP.

pub mod answer;
mod authorizer;
pub mod cel;
mod decision;
pub mod forward;
pub mod host;
pub mod locations;
pub mod path;
pub mod pattern;
mod preflight;
mod reason;
mod request;
pub mod requirement;
mod revoked;
pub mod rules;
pub mod steps;

pub use authorizer::{Authorizer, PolicySnapshot};
pub use decision::{Allowance, Decision, Denial};
pub use reason::DenialReason;
pub use request::{CheckRequest, Contradiction, Pairs};

/// A verified token, with the headers that are made of it.
pub type KnownToken = crate::token::KnownToken<forward::Forwarded>;

/// Tokens that were verified before.
pub type VerifiedTokenCache = crate::token::VerifiedTokenCache<forward::Forwarded>;

#[cfg(test)]
mod tests;
