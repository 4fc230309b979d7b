//! Both sides of `deploy/envoy/mtls.yaml`, as its comment describes them, with the files of a test.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::ROOT;
use crate::authority::Mounted;
use crate::envoy;

const FILE: &str = "mtls.yaml";
/// What it names, beside it.
const SECRETS: [&str; 2] = ["mtls-client.yaml", "mtls-authority.yaml"];

/// Who claimgate and Envoy are in that file.
pub(crate) const CLAIMGATE_ID: &str = "spiffe://cluster.local/ns/claimgate/sa/claimgate";
pub(crate) const ENVOY_ID: &str = "spiffe://cluster.local/ns/edge/sa/envoy";

/// `listen` of claimgate, on any port, with these certificates.
pub(crate) fn listen(mounted: &Mounted) -> Value {
    let listen = envoy::documented(&format!("deploy/envoy/{FILE}"))["listen"].to_string();
    let listen =
        listen.replace("/etc/claimgate/tls", root(mounted)).replace("0.0.0.0:9191", "127.0.0.1:0");
    serde_json::from_str(&listen).unwrap()
}

/// Envoy's configuration, with these certificates. What it names is written to `directory`.
pub(crate) fn config(directory: &TempDir, mounted: &Mounted, claimgate: SocketAddr) -> Value {
    let mut config = envoy::shipped(FILE, &[envoy::tcp(claimgate)]).to_string();
    for name in SECRETS {
        let secret = fs::read_to_string(Path::new(ROOT).join("deploy/envoy").join(name)).unwrap();
        let place = directory.path().join(name);
        fs::write(&place, secret.replace("/etc/envoy/tls", root(mounted))).unwrap();
        let named = format!("/etc/envoy/{name}");
        assert_eq!(config.matches(&named).count(), 1);
        config = config.replace(&named, place.to_str().unwrap());
    }
    serde_json::from_str(&config).unwrap()
}

fn root(mounted: &Mounted) -> &str {
    mounted.root().to_str().unwrap()
}
