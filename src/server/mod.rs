//! Layer 4: the adapters. They translate requests in and answers out, and record what was decided; they
//! decide nothing themselves.
//!
//! [`ext_authz`] speaks Envoy's API and [`forward_auth`] plain HTTP; both ask [`checks`], find in a [`mod@generation`] what
//! is in force, and have [`record`] tell what was decided. The former is served by [`grpc`] beside [`health`]; [`admin`] is for probes, Prometheus and people,
//! who get a [`status_page`], and [`issuer_admin`] the same of the reference issuer. Connections come from [`listener`],
//! through [`tls`] where it is configured, and are served by [`connections`] within bounds.

pub mod admin;
mod admin_pages;
pub mod checks;
pub mod connections;
pub mod ext_authz;
pub mod forward_auth;
pub mod generation;
pub mod grpc;
pub mod health;
pub mod issuer_admin;
pub mod listener;
pub mod record;
pub mod status_page;
pub mod tls;
