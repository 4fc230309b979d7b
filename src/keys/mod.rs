//! Layer 2: the keys that tokens are verified with, and how they stay fresh.
//!
//! [`key`], [`hmac`], [`jwks`] and [`store`] are pure: a request loads one [`store::KeySnapshot`] and looks keys up
//! in it. Around them, never inside: [`refresher`] fetches what a [`source`] publishes and swaps a whole
//! new snapshot in. A fetch that fails changes nothing but the [`status`] board. [`demand`] brings a refresh
//! forward when a token names a key that is not there yet, and [`disk`] keeps the last good document for the
//! next start.
//!
//! Beside them is the other half of a key's life: [`signing`] makes private keys, [`lifecycle`] keeps a directory
//! of them and takes each through publication, use and retirement. Nothing that verifies reads either.

pub mod content;
pub mod demand;
pub mod disk;
pub mod hmac;
pub mod jwks;
pub mod key;
pub mod lifecycle;
pub mod refresher;
mod report;
pub mod schedule;
pub mod signing;
pub mod source;
pub mod status;
pub mod store;
pub mod thumbprint;

#[cfg(test)]
mod testing;
