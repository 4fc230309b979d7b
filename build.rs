//! Generates `crate::proto` from `proto/`, without needing `protoc`, and a descriptor set for gRPC reflection.
//!
//! The service is generated in two passes because its two ends must treat bytes that do not decode differently: the
//! server turns them into a request that is denied (`crate::server::codec`), while for a client the same leniency
//! would turn rubbish into an empty `CheckResponse`, which means "allow".

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
    let client_dir = out_dir.join("client");
    std::fs::create_dir_all(&client_dir)?;

    let mut descriptors = protox::compile([ROOT], ["proto"])?;

    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::server::codec::CheckCodec")
        .skip_debug(HOLD_SECRETS)
        .out_dir(&out_dir)
        .compile_fds(descriptors.clone())?;

    // The messages exist already: only the client is new in this pass. Without `connect`: tonic's
    // channel is a dependency of the tests alone, which make one and wrap it.
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .extern_path(".envoy.config.core.v3", "crate::proto::envoy::config::core::v3")
        .extern_path(".envoy.service.auth.v3", "crate::proto::envoy::service::auth::v3")
        .extern_path(".envoy.type.v3", "crate::proto::envoy::r#type::v3")
        .extern_path(".google.rpc", "crate::proto::google::rpc")
        .out_dir(&client_dir)
        .compile_fds(descriptors.clone())?;

    // Comments and positions are of no use to a reflection client.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    std::fs::write(out_dir.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
