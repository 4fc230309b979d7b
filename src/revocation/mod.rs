//! Layer 2: what has been taken back before it expired. Tokens, subjects, sessions, keys and issuers that are revoked, by
//! a list in the configuration and by a source that is followed.
//!
//! | part | what it is for |
//! | --- | --- |
//! | [`entry`] | pure: one revocation, and its line of JSON |
//! | [`snapshot`] | pure: all of them at one moment, as a request sees them |
//! | [`store`] | the snapshot in force, and how fresh it is |
//! | [`policy`] | pure: what becomes of a token, as configured |
//! | [`source`] | the contract that every source keeps |
//! | [`mod@file`] | the source that is a watched file |
//! | [`redis`] | the source that is a Redis, and who writes to it |
//! | [`sync`] | keeps the store like its source |
//! | [`status`] | how the source is doing, for people |
//!
//! Below them, `digest` and `table` are what a snapshot is made of. It knows neither tokens nor keys: `check` brings them
//! together. Of a source only [`redis::Writer`] is a writer; the reference issuer's file is written where its entries are
//! made, in `issuer::reference`.

mod digest;
pub mod entry;
pub mod file;
pub mod policy;
pub mod redis;
pub mod snapshot;
pub mod source;
pub mod status;
pub mod store;
pub mod sync;
mod table;
#[cfg(test)]
pub(crate) mod testing;

pub use self::entry::{EntryError, EntryKind, RevocationEntry, Revoked};
pub use self::policy::{RevocationPolicy, Revocations, Verdict};
pub use self::snapshot::{RevocationLookup, RevocationSnapshot, TokenFacts};
pub use self::store::RevocationStore;
pub use self::sync::RevocationSync;

/// What a configuration says of revocations.
#[derive(Clone, Debug)]
pub struct RevocationSettings {
    /// What is revoked by the configuration itself.
    pub fixed: Vec<RevocationEntry>,
    /// Where the rest comes from; `None`: there is no rest.
    pub source: Option<source::SourceSettings>,
    /// The most entries that the source may have.
    pub max_entries: usize,
    /// What it means.
    pub policy: RevocationPolicy,
}
