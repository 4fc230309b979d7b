//! The YAML of `revocation.redis`, of the service and of the reference issuer, one to one.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::scalar::{Count, List, Mapping, Text};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Redis", extend("oneOf" = crate::config::schema::one_of(&REDIS_SERVERS)))]
pub(in crate::config) struct RawRedis {
    /// One server: redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH.
    pub(in crate::config) url: Option<String>,
    /// The server that Sentinels call the master.
    pub(in crate::config) sentinel: Option<Mapping<RawSentinel>>,
    /// Nodes of a Cluster, as URLs: one that answers is enough.
    pub(in crate::config) cluster: Option<List<String>>,
    /// An ACL user. Default: the user `default`.
    pub(in crate::config) username: Option<String>,
    /// Its password, on one line; read at every connection. Default: none is sent.
    pub(in crate::config) password_file: Option<String>,
    /// The only authorities to trust, under rediss://. Default: the system's.
    pub(in crate::config) ca_file: Option<String>,
    /// With client_key_file: for mutual TLS. Default: none.
    pub(in crate::config) client_cert_file: Option<String>,
    /// With client_cert_file; not readable by everybody.
    pub(in crate::config) client_key_file: Option<String>,
    /// The name in the server's certificate. Default: the host's.
    pub(in crate::config) server_name: Option<String>,
    /// What the names of the keys begin with. Default claimgate:revocation.
    pub(in crate::config) prefix: Option<String>,
}

/// Of these there is exactly one.
pub(in crate::config) const REDIS_SERVERS: [&str; 3] = ["url", "sentinel", "cluster"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Sentinel", extend("required" = ["master", "urls"]))]
pub(in crate::config) struct RawSentinel {
    /// What they call the master.
    pub(in crate::config) master: Option<String>,
    /// Where they are: redis://HOST:PORT, or rediss:// for TLS, to the master as well.
    pub(in crate::config) urls: Option<List<String>>,
    /// The number of the master's database. Default 0.
    pub(in crate::config) database: Option<Text<Count>>,
    /// An ACL user of the Sentinels. Default: the user `default`.
    pub(in crate::config) sentinel_username: Option<String>,
    /// The password that the Sentinels ask for. Default: none is sent.
    pub(in crate::config) sentinel_password_file: Option<String>,
}
