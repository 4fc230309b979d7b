//! `claimgate probe` as a process against a service: its exit code is what a container's probe goes by.

use std::net::SocketAddr;
use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::kept;
use crate::provider::Provider;
use crate::service::TestService;

#[tokio::test]
async fn a_service_with_keys_is_serving_and_one_that_is_gone_is_not() {
    let provider = Provider::start().await;
    let service = TestService::start(provider.config()).await;
    service.until_ready().await;
    let grpc = service.grpc;
    let told = probe(grpc).await;
    assert_eq!((told.status.code(), told.stdout.as_slice()), (Some(0), b"serving\n".as_slice()));
    service.stop().await.unwrap();
    let told = probe(grpc).await;
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told).starts_with("claimgate probe: cannot connect: "), "{}", text(&told));
}

#[tokio::test]
async fn a_service_that_waits_for_its_first_keys_is_not_serving() {
    let provider = Provider::start().await;
    provider.issuer.set_down(true);
    let service = TestService::start(provider.config()).await;
    let told = probe(service.grpc).await;
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told).starts_with("claimgate probe: not serving: "), "{}", text(&told));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn somebody_who_is_no_claimgate_is_not_serving() {
    let provider = Provider::start().await;
    let service = TestService::start(provider.config()).await;
    // HTTP/2 without gRPC, which the admin port speaks too.
    let told = probe(service.admin).await;
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told).contains("gRPC status"), "{}", text(&told));
    service.stop().await.unwrap();
}

async fn probe(address: SocketAddr) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    command.args(["probe", "--timeout", "20s", &address.to_string()]).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    kept::printed(&output);
    output
}

fn text(told: &Output) -> String {
    String::from_utf8_lossy(&told.stderr).into_owned()
}
