//! The life of a signing key: made, published, used, no longer used, withdrawn; and what of it can be shown to others.
//!
//! ```text
//! next ──────────────▶ active ──────────────▶ retiring ──────────────▶ retired
//! published,           published,             published,               withdrawn, private
//! not signing          signing                not signing              half deleted
//! ```
//!
//! [`manifest`], [`rules`] and [`document`] are pure: what is, what may be, what is published. [`directory`] is the
//! files, [`steps`] puts them together, [`evidence`] is what auditors are given. Only `claimgate keys` changes a
//! directory; the reference issuer reads one and signs with what is active in it. What verifies knows no private key.

pub mod directory;
pub mod document;
pub mod evidence;
pub mod manifest;
mod plan;
pub mod rules;
pub mod steps;

#[cfg(test)]
mod tests;
