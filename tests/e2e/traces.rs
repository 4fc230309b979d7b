//! Traces through a real Envoy: claimgate's span hangs below Envoy's own, whichever of its tracers made that. What Envoy is
//! configured with is what `deploy/docs/traces.md` shows.

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::ROOT;
use crate::collector::{Collector, Received};
use crate::configuration::inline;
use crate::envoy::{self, Envoy, manager, shipped, tcp};
use crate::load::key_and_token;
use crate::service::{TestService, eventually};

/// The block of the page that names this tracer.
fn of_page(tracer: &str) -> Value {
    let page = fs::read_to_string(format!("{ROOT}/deploy/docs/traces.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains(tracer)).expect("a block of it");
    let mut block: Value = serde_saphyr::from_str(block).unwrap();
    // Of few requests there would be no trace.
    block["tracing"]["random_sampling"]["value"] = json!(100);
    block["tracing"].take()
}

/// An Envoy that traces with `tracing`, to the collector at `collector`, and has its spans sent at once.
async fn start(tracing: Value, collector: SocketAddr, service: &TestService) -> Envoy {
    let mut config = envoy::for_load(shipped("envoy.yaml", &[tcp(service.grpc)]));
    let is_grpc = tracing["provider"]["name"] == "envoy.tracers.opentelemetry";
    manager(&mut config)["tracing"] = tracing;
    let mut cluster = json!({
        "name": "collector", "type": "STATIC",
        "load_assignment": {"cluster_name": "collector", "endpoints": [{
            "lb_endpoints": [{"endpoint": {"address": tcp(collector)}}],
        }]},
    });
    if is_grpc {
        let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        cluster["typed_extension_protocol_options"][options] = json!({
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http2_protocol_options": {}},
        });
    }
    config["static_resources"]["clusters"].as_array_mut().unwrap().push(cluster);
    let at_once = json!({"flush_interval_ms": 50, "min_flush_spans": 1});
    let layers = config["layered_runtime"]["layers"].take();
    let mut layers = layers.as_array().cloned().unwrap_or_default();
    layers.push(json!({"name": "at once", "static_layer": {"tracing": {
        "opentelemetry": at_once, "zipkin": at_once,
    }}}));
    config["layered_runtime"]["layers"] = layers.into();
    Envoy::start(&config)
}

async fn get(at: SocketAddr, headers: &[(&str, &str)]) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("http://{at}/orders"));
    let request = headers.iter().fold(request, |request, (k, v)| request.header(*k, *v));
    request.send().await.unwrap().status().as_u16()
}

async fn ours(collector: &Collector, count: usize) -> Vec<Received> {
    collector.spans_of("claimgate", count).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_hangs_below_envoys_own_with_opentelemetry() {
    let (key, token) = key_and_token();
    let collector = Collector::start().await;
    let mut config = inline(&key);
    config["traces"] = json!({"endpoint": collector.url()});
    let service = TestService::start(config).await;
    let envoy = start(of_page("envoy.tracers.opentelemetry"), collector.address, &service).await;
    let ingress = envoy.ingress().await;
    envoy.until_healthy(1).await;
    let bearer = format!("Bearer {token}");
    assert_eq!(get(ingress, &[("authorization", &bearer)]).await, 200);
    assert_eq!(get(ingress, &[]).await, 401);
    let ours = ours(&collector, 2).await;
    let decisions: Vec<_> =
        ours.iter().map(|received| received.attribute("claimgate.decision")).collect();
    assert_eq!(decisions, ["allow", "deny"]);
    for received in &ours {
        let mut above = None;
        eventually("Envoy's span", async || {
            let spans = collector.spans();
            above = spans.into_iter().find(|other| other.span_id() == received.parent());
            above.is_some()
        })
        .await;
        let above = above.unwrap();
        assert_eq!(above.resource["service.name"], "gateway");
        assert_eq!(above.trace_id(), received.trace_id());
        assert!(above.span.name.contains("Authorization"), "{}", above.span.name);
        // The two read the same clock.
        assert!(above.span.start_time_unix_nano <= received.span.start_time_unix_nano);
        assert!(received.span.end_time_unix_nano <= above.span.end_time_unix_nano);
    }
    assert_ne!(ours[0].trace_id(), ours[1].trace_id());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_hangs_below_envoys_own_with_zipkin_and_b3() {
    let (key, token) = key_and_token();
    let collector = Collector::start().await;
    let mut config = inline(&key);
    config["traces"] = json!({"endpoint": collector.url(), "protocol": "http/protobuf"});
    let service = TestService::start(config).await;
    let envoy = start(of_page("envoy.tracers.zipkin"), collector.address, &service).await;
    let ingress = envoy.ingress().await;
    envoy.until_healthy(1).await;
    let bearer = format!("Bearer {token}");
    assert_eq!(get(ingress, &[("authorization", &bearer)]).await, 200);
    let ours = ours(&collector, 1).await;
    let mut above = Value::Null;
    eventually("Envoy's span", async || {
        let spans = collector.zipkin();
        above = spans.into_iter().find(|span| span["id"] == ours[0].parent()).unwrap_or_default();
        !above.is_null()
    })
    .await;
    assert_eq!(above["traceId"], ours[0].trace_id());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_does_not_sample_says_so_from_1_39_on_and_before_the_client_decides() {
    let (key, token) = key_and_token();
    let collector = Collector::start().await;
    let mut config = inline(&key);
    config["traces"] = json!({"endpoint": collector.url()});
    let service = TestService::start(config).await;
    let mut tracing = of_page("envoy.tracers.opentelemetry");
    // What the client says is not asked, and nothing is sampled.
    tracing["random_sampling"]["value"] = json!(0);
    tracing["overall_sampling"] = json!({"value": 0});
    let envoy = start(tracing, collector.address, &service).await;
    let ingress = envoy.ingress().await;
    envoy.until_healthy(1).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("traceparent", parent)];
    assert_eq!(get(ingress, &headers).await, 200);
    let version = envoy.version().await;
    let minor: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
    service.stop().await.unwrap();
    let spans = collector.spans();
    assert_eq!(spans.is_empty(), minor >= 39, "Envoy {version}: {spans:?}");
}
