//! Layer 3, pure: may this request pass, and who is it from?
//!
//! [`Authorizer::check`] takes a [`CheckRequest`] and the time and returns a [`Decision`]. It does no I/O,
//! reads no clock, takes no lock and counts nothing: adapters (`server`) translate requests in and
//! decisions out, and record them. The steps are one file each: [`rules`] → [`extract`] → `token` →
//! [`rules`] again → [`headers`]; [`answer`] says what a denial looks like over HTTP.

pub mod answer;
mod authorizer;
pub mod claim_value;
mod decision;
pub mod extract;
pub mod headers;
pub mod path;
mod request;
pub mod rules;

pub use authorizer::{Authorizer, PolicySnapshot};
pub use decision::{Allowance, Decision, Denial, DenialReason};
pub use request::CheckRequest;

#[cfg(test)]
mod tests;
