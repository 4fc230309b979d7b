//! Keys that come with the configuration: `jwks` in it, `jwks_env` beside it. What a document may hold that is
//! secret is never quoted.

use serde_json::Value;

use super::Compiler;
use crate::config::report::{Path, describe, quote};
use crate::keys::jwks::{DocumentError, Jwks};
use crate::keys::key::AlgorithmSet;
use crate::keys::source::SourceKind;
use crate::token::Issuer;

impl Compiler<'_> {
    pub(super) fn inline(
        &mut self,
        path: &Path,
        jwks: &Value,
        issuer: &Issuer,
    ) -> Option<SourceKind> {
        if !jwks.is_object() {
            self.report.wrong(
                path,
                describe(path, jwks),
                "a JWK Set: a mapping with a list \"keys\"",
            );
            return None;
        }
        if let Some(secret) = secret_in(jwks) {
            self.report.wrong(path, secret, "a JWK Set of public keys only");
            return None;
        }
        let mut is_public = true;
        let keys = jwks.get("keys").and_then(Value::as_array);
        for (index, key) in keys.into_iter().flatten().enumerate() {
            if let Some(secret) = secret_in(key) {
                is_public = false;
                self.report.wrong(&path.key("keys").index(index), secret, "public keys only");
            }
        }
        // A key that was not kept because of a mistake elsewhere is no mistake of its own.
        if !is_public || issuer.algorithms.is_empty() {
            return None;
        }
        let document = jwks.to_string();
        let parsed = self.document(path, "it", document.as_bytes(), issuer, Jwks::parse);
        parsed.map(SourceKind::Inline)
    }

    /// The value of an environment variable, which is read now and never again.
    pub(super) fn environment(
        &mut self,
        path: &Path,
        name: String,
        issuer: &Issuer,
    ) -> Option<SourceKind> {
        const EXPECTED: &str = "the name of an environment variable that holds a JWK Set";
        let value = (self.environment)(&name);
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            self.report.wrong(path, format!("{}, not set or empty", quote(&name)), EXPECTED);
            return None;
        };
        if issuer.algorithms.is_empty() {
            return None;
        }
        let (what, value) = (format!("the value of {name}"), value.as_encoded_bytes());
        let jwks = self.document(path, &what, value, issuer, Jwks::parse_local)?;
        Some(SourceKind::Environment { name, jwks })
    }

    fn document(
        &mut self,
        path: &Path,
        what: &str,
        document: &[u8],
        issuer: &Issuer,
        parse: fn(&[u8], AlgorithmSet, usize) -> Result<Jwks, DocumentError>,
    ) -> Option<Jwks> {
        if document.len() > self.limits.jwks_bytes {
            let expected = format!("at most {} (limits.jwks_bytes)", self.limits.jwks_bytes);
            self.report.wrong(path, format!("{} bytes in {what}", document.len()), expected);
            return None;
        }
        match parse(document, issuer.algorithms, self.limits.jwks_keys) {
            Ok(jwks) => Some(jwks),
            Err(error) => {
                let names: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
                let expected = format!("a JWK Set with a key for {}", names.join(" or "));
                self.report.wrong(path, format!("{error} in {what}"), expected);
                None
            }
        }
    }
}

/// What is secret about a JWK (RFC 7518 §6.2.2, §6.3.2, §6.4).
fn secret_in(key: &Value) -> Option<&'static str> {
    let has = |name: &str| key.get(name).is_some();
    if key.get("kty").and_then(Value::as_str) == Some("oct") || has("k") {
        return Some("a symmetric key (not shown)");
    }
    let is_private = ["d", "p", "q", "dp", "dq", "qi", "oth"].into_iter().any(has);
    is_private.then_some("a private key (not shown)")
}
