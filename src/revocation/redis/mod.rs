//! Revocations in a Redis: read by the service, as one of the sources of [`super::source`], and written by `claimgate
//! revoke` and the reference issuer ([`Writer`]). The only part of claimgate that knows Redis, and of it only what
//! `deploy/revocation.md` tells everybody.
//!
//! `schema` says which keys there are. `servers` finds the server and opens a `connection`, `link` follows it, `source`
//! goes on where one ends. The library is redis-rs, for the protocol: see `connection` for what of it is not used.

mod client;
mod connection;
mod error;
mod link;
mod reply;
mod scan;
mod schema;
mod servers;
pub mod settings;
mod source;
mod tls;
mod transport;
mod write;

pub use self::client::Client;
pub use self::error::RedisError;
pub use self::schema::Prefix;
pub(super) use self::source::RedisSource;
pub use self::write::{Writer, Written};

#[cfg(test)]
pub(crate) mod tests;
