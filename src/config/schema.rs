//! The JSON Schema of the YAML, made from the types that read it: [`super::raw`] for the names, and the shapes and
//! scalars here. It says what can be written, not what is right: that a rule names an issuer that there is, or that a
//! header is not one of Envoy's own, only [`super::compile`] knows. `claimgate schema` prints it, and [`super::page`]
//! makes a page of it.

use std::borrow::Cow;
use std::time::Duration;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::Profile;
use super::raw::{RawConfig, RawIssuerConfig, RawPatternForm, RawTextPattern};
use super::scalar::{
    Addresses, Age, ClaimPath, Count, FileMode, List, Mapping, MaxStale, Moment, RawDiscovery,
    Scalar, Size, Text,
};
use super::words::{
    Anyone, CorsPreflight, RawAllTokens, RawBeforeFirstLoad, RawClaimFormat, RawRuleMode,
    RawRuleRevocation, RawTooLong, RawWhenStale, RawWithoutJti,
};
use crate::revocation::EntryKind;
use crate::server::tls::TlsVersion;
use crate::telemetry::traces::settings::Protocol;

/// The schema of a configuration, JSON Schema 2020-12. Somewhat stricter than what is read: a key without a value
/// counts as left out there, and as a mistake here.
pub fn json_schema() -> Value {
    schema_of::<RawConfig>("claimgate configuration")
}

/// The same of the reference issuer's configuration.
pub fn issuer_json_schema() -> Value {
    schema_of::<RawIssuerConfig>("claimgate issuer configuration")
}

fn schema_of<R: JsonSchema>(title: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<R>().to_value();
    without_null(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), title.into());
    }
    schema
}

/// Everything is optional to the types, for [`super::compile`] to say what is missing. Nobody means to write null.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.shift_remove("default");
            }
            if let Some(Value::Array(values)) = members.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|one| one != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(any)) = members.get_mut("anyOf") {
                any.retain(|one| *one != serde_json::json!({"type": "null"}));
                if let [Value::Object(only)] = any.as_slice() {
                    let only = only.clone();
                    members.shift_remove("anyOf");
                    for (name, value) in only {
                        members.entry(name).or_insert(value);
                    }
                }
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                // Where the comment that it comes from was wrapped.
                *text = text.replace('\n', " ");
            }
            members.values_mut().for_each(without_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Exactly one of these keys.
pub(super) fn one_of(keys: &[&str]) -> Value {
    keys.iter().map(|key| serde_json::json!({"required": [key]})).collect()
}

/// What a [`Scalar`] is written like.
pub(super) trait Written: Scalar {
    /// Without the description, which is [`Scalar::EXPECTED`].
    fn schema() -> Schema;
}

impl<S: Written> JsonSchema for Text<S> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        S::EXPECTED.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = S::schema();
        schema.insert("description".to_owned(), S::EXPECTED.into());
        schema
    }
}

impl<T: JsonSchema> JsonSchema for Mapping<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("list of {}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": generator.subschema_for::<T>()})
    }
}

impl JsonSchema for ClaimPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClaimPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": Self::EXPECTED,
            "type": ["string", "array"],
            "items": {"type": "string"},
        })
    }
}

const DURATION: &str = "[0-9]+(ms|s|m|h|d)";

impl Written for Profile {
    fn schema() -> Schema {
        json_schema!({"enum": ["production", "development"]})
    }
}

impl JsonSchema for Addresses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Addresses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let address = json_schema!({"type": "string", "pattern": ADDRESS});
        json_schema!({
            "description": Self::EXPECTED,
            "anyOf": [address, {"type": "array", "items": address, "minItems": 1}],
        })
    }
}

/// An IP address and a port, or a Unix socket: a path from the root, or an abstract name.
const ADDRESS: &str = r"^(([0-9.]+|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]):[0-9]{1,5}|unix://[/@].+)$";

impl Written for FileMode {
    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^0?[0-7]{3}$"})
    }
}

impl Written for TlsVersion {
    fn schema() -> Schema {
        json_schema!({"enum": ["1.2", "1.3"]})
    }
}

impl Written for Protocol {
    fn schema() -> Schema {
        json_schema!({"enum": ["grpc", "http/protobuf"]})
    }
}

impl Written for Age {
    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": format!("^({DURATION}|unlimited)$")})
    }
}

impl Written for Duration {
    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": format!("^{DURATION}$")})
    }
}

impl Written for MaxStale {
    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": format!("^({DURATION}|unlimited)$")})
    }
}

impl Written for Size {
    fn schema() -> Schema {
        json_schema!({"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(B|KiB|MiB)?$"})
    }
}

impl Written for Count {
    fn schema() -> Schema {
        json_schema!({"type": "integer", "minimum": 0})
    }
}

impl Written for RawDiscovery {
    fn schema() -> Schema {
        json_schema!({"anyOf": [{"const": true}, {"type": "string"}]})
    }
}

impl Written for Anyone {
    fn schema() -> Schema {
        json_schema!({"const": "anyone"})
    }
}

impl Written for RawClaimFormat {
    fn schema() -> Schema {
        json_schema!({"enum": ["json", "base64", "base64url"]})
    }
}

impl Written for RawTooLong {
    fn schema() -> Schema {
        json_schema!({"enum": ["deny", "drop"]})
    }
}

impl Written for RawAllTokens {
    fn schema() -> Schema {
        json_schema!({"enum": ["refuse", "verify"]})
    }
}

impl Written for RawRuleMode {
    fn schema() -> Schema {
        json_schema!({"enum": ["enforce", "shadow"]})
    }
}

impl Written for RawRuleRevocation {
    fn schema() -> Schema {
        json_schema!({"enum": ["check", "ignore"]})
    }
}

impl Written for RawWhenStale {
    fn schema() -> Schema {
        json_schema!({"enum": ["deny", "allow"]})
    }
}

impl Written for RawWithoutJti {
    fn schema() -> Schema {
        json_schema!({"enum": ["refuse", "accept"]})
    }
}

impl Written for RawBeforeFirstLoad {
    fn schema() -> Schema {
        json_schema!({"enum": ["not_ready", "ready"]})
    }
}

impl Written for EntryKind {
    fn schema() -> Schema {
        json_schema!({"enum": Self::ALL.map(Self::as_str)})
    }
}

impl Written for Moment {
    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"})
    }
}

impl Written for CorsPreflight {
    fn schema() -> Schema {
        json_schema!({"enum": ["allow", "check"]})
    }
}

impl JsonSchema for RawTextPattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "a text pattern".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let form = generator.subschema_for::<RawPatternForm>();
        json_schema!({"description": Self::EXPECTED, "anyOf": [{"type": "string"}, form]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema_at(path: &str) -> Value {
        let schema = json_schema();
        let root = schema.pointer(path).cloned();
        root.unwrap_or_else(|| panic!("no {path} in {schema:#}"))
    }

    #[test]
    fn no_mapping_takes_a_key_that_nobody_reads() {
        let schema = json_schema();
        let definitions = schema["$defs"].as_object().unwrap();
        assert!(definitions.len() > 10);
        for (name, mapping) in
            definitions.iter().map(|(k, v)| (k.as_str(), v)).chain([("root", &schema)])
        {
            assert_eq!(mapping["additionalProperties"], false, "{name}");
        }
    }

    #[test]
    fn null_is_nowhere_and_the_accepted_form_is_said() {
        let schema = json_schema().to_string();
        assert!(!schema.contains("null"), "{schema}");
        assert_eq!(schema_at("/$defs/Unix/properties/mode/pattern"), "^0?[0-7]{3}$");
        assert_eq!(schema_at("/properties/issuers/items/$ref"), "#/$defs/Issuer");
    }
}
