//! Layer 2, pure: from the text of a token to verified claims.
//!
//! Three states of trust are three types: [`RawToken`] (text), [`UnverifiedJws`] (parsed, still a
//! stranger's word) and [`VerifiedToken`], which only [`Verifier`] makes. No clock, no I/O, no metrics;
//! `check` calls it with the time and the key snapshot as arguments.

mod cache;
mod claims;
pub mod fault;
mod hs256;
mod issuer;
mod jws;
pub mod observe;
mod signed_with;
mod verifier;

pub use cache::{CacheStats, KnownToken, VerifiedTokenCache};
pub use claims::{Claims, numeric_date};
pub use issuer::{Audiences, Issuer, IssuerName, RequiredClaims, TenantPattern};
pub use jws::{RawToken, Segments, UnverifiedJws};
pub use signed_with::SignedWith;
pub use verifier::{Refusal, Refused, VerifiedToken, Verifier};

#[cfg(test)]
mod tests;
