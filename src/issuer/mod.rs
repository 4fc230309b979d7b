//! Making tokens: the reference issuer, the development identity provider, and the forgeries that a verifier must refuse.
//!
//! [`mod@reference`] is what `claimgate issuer` serves. The rest is not for production: keys live in memory only and nobody
//! logs in. `claimgate demo` runs it, and tests take their keys and tokens from here.
//!
//! * [`SigningKey`] is that of [`crate::keys::signing`]: a private key with its `kid`, and its public half;
//! * [`mint`]: header and claims → a signed compact token;
//! * [`forgery`]: tokens that look right and must never pass;
//! * [`development`]: discovery, JWKS, token, rotation and outages over HTTP;
//! * [`mod@reference`]: the reference issuer, with keys from a key directory and clients with secrets.

pub mod development;
pub mod forgery;
pub mod mint;
pub mod reference;

pub use crate::keys::signing::{SigningError, SigningKey};
pub use development::DevelopmentIssuer;
