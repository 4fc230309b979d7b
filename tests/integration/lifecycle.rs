//! Start and end: a port that is taken, health as it is told, and the order of a drain.

use std::time::Duration;

use claimgate::app::{App, Options};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message as _;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::answers::{frame, key, raw_call};
use crate::provider::{config, inline};
use crate::service::{Answer, PATIENCE, TestService, configuration, eventually, request};

const SERVICE: &str = "envoy.service.auth.v3.Authorization";

#[tokio::test]
async fn a_port_in_use_is_named_with_its_listener() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let config = configuration(inline(&key()), address.port());
    let error = App::bind(config).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("listen.grpc: cannot listen on {address}:")), "{error}");
}

#[tokio::test]
async fn health_is_told_for_the_service_and_for_the_whole() {
    let ready = TestService::start(inline(&key())).await;
    let nowhere = json!({"jwks_file": "there-is-no-such-file.json"});
    let unready = TestService::start(config("https://accounts.example.com", &nowhere)).await;
    for name in ["", SERVICE] {
        assert_eq!(health(&ready, name).await, Some(ServingStatus::Serving));
        assert_eq!(health(&unready, name).await, Some(ServingStatus::NotServing));
    }
    assert_eq!(health(&ready, "another").await, None);
    assert_eq!(ready.admin("/readyz").await.0, 200);
    assert_eq!(unready.admin("/readyz").await.0, 503);
    ready.stop().await.unwrap();
    unready.stop().await.unwrap();
}

#[tokio::test]
async fn a_drain_says_not_serving_first_and_goes_on_answering_meanwhile() {
    let options = Options { drain_delay: Duration::from_secs(600), ..Options::default() };
    let service = TestService::start_with(inline(&key()), options).await;
    assert!(service.ask("/healthz", &[]).await.is_allowed());
    let mut watch = watch(&service).await;
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    service.shutdown.cancel();
    let told = timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::NotServing);
    assert!(service.ask("/healthz", &[]).await.is_allowed());
    eventually("draining", async || {
        let (status, text) = service.admin("/readyz").await;
        status == 503 && text.contains("draining")
    })
    .await;
}

#[tokio::test]
async fn a_check_in_flight_when_the_drain_begins_gets_its_answer() {
    let service = TestService::start(inline(&key())).await;
    let payload = frame(&request("GET", "/orders", &[]).encode_to_vec());
    let (send, body) = mpsc::unbounded_channel();
    let body = UnboundedReceiverStream::new(body).map(|part| Ok(Frame::data(part)));
    send.send(payload.slice(..7)).unwrap();
    let call = raw_call(service.channel.clone(), StreamBody::new(body));
    let drain = async {
        // On the same connection: when this is answered, the half call has arrived.
        assert!(service.ask("/healthz", &[]).await.is_allowed());
        service.shutdown.cancel();
        eventually("draining", async || TcpStream::connect(service.grpc).await.is_err()).await;
        send.send(payload.slice(7..)).unwrap();
        drop(send);
    };
    let (answer, ()) = tokio::join!(call, drain);
    assert_eq!(Answer::of(answer), Answer::denied(401, "missing_token"));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_and_an_endless_watch_do_not_hold_up_the_end() {
    let options = Options { drain_deadline: PATIENCE * 2, ..Options::default() };
    let service = TestService::start_with(inline(&key()), options).await;
    assert!(service.ask("/healthz", &[]).await.is_allowed());
    let mut watch = watch(&service).await;
    let (grpc, admin) = (service.grpc, service.admin);
    service.stop().await.unwrap();
    while let Ok(Some(_)) = watch.message().await {}
    for address in [grpc, admin] {
        TcpListener::bind(address).await.expect("the ports are free again");
    }
}

#[tokio::test]
async fn reflection_is_off_unless_asked_for() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

    for reflection in [false, true] {
        let options = Options { reflection, ..Options::default() };
        let service = TestService::start_with(inline(&key()), options).await;
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(service.channel.clone());
        let answer = client.server_reflection_info(tokio_stream::iter([request])).await;
        assert_eq!(answer.is_ok(), reflection);
        drop((answer, client));
        service.stop().await.unwrap();
    }
}

/// `None`: there is no such service.
async fn health(service: &TestService, name: &str) -> Option<ServingStatus> {
    let mut client = HealthClient::new(service.channel.clone());
    let answer = client.check(HealthCheckRequest { service: name.to_owned() }).await;
    Some(answer.ok()?.into_inner().status())
}

/// The health of the whole, as it changes.
async fn watch(service: &TestService) -> Streaming<HealthCheckResponse> {
    let whole = HealthCheckRequest { service: String::new() };
    HealthClient::new(service.channel.clone()).watch(whole).await.unwrap().into_inner()
}
