//! Layer 0: small things that every layer may use and that know nothing of tokens, keys or Envoy.

pub mod backoff;
pub mod client_tls;
pub mod clock;
pub mod escape;
pub mod file;
pub mod fs;
pub mod json;
pub mod label;
pub mod protobuf;
pub mod rfc3339;
pub mod stack;
pub mod watch;
