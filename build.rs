//! Generates `crate::proto` from `proto/`, without needing `protoc`, and a descriptor set for gRPC reflection.
//!
//! The generated client is what tests ask with. The generated server is what benchmarks compare with, and nothing else:
//! it answers bytes that it cannot decode with a gRPC error, which is no denial to Envoy (`crate::server::ext_authz`).

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

/// The one file that imports all the others.
const ROOT: &str = "envoy/service/auth/v3/external_auth.proto";

/// Messages whose derived `Debug` would print tokens or claims; `src/proto.rs` writes theirs by hand.
const HOLD_SECRETS: [&str; 6] = [
    ".envoy.service.auth.v3.AttributeContext.HttpRequest",
    ".envoy.service.auth.v3.CheckResponse",
    ".envoy.service.auth.v3.OkHttpResponse",
    ".envoy.config.core.v3.HeaderValue",
    ".envoy.config.core.v3.Metadata",
    ".envoy.config.core.v3.QueryParameter",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let mut descriptors = protox::compile([ROOT], ["proto"])?;

    // Without `connect`: who asks makes a channel of its own, and wraps it.
    tonic_prost_build::configure()
        .build_transport(false)
        .skip_debug(HOLD_SECRETS)
        .out_dir(&out_dir)
        .compile_fds(descriptors.clone())?;

    // Comments and positions are of no use to a reflection client.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    std::fs::write(out_dir.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
