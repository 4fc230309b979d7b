//! The endpoints, asked as a client would, and as nobody should.

mod attacks;
mod documents;
mod refreshed;
mod revoked;
mod tokens;
