//! Certificates and authorities of claimgate and of a real Envoy are replaced, while requests keep coming and nearly each
//! of them needs a new connection: no handshake and no request may fail.

use std::path::Path;

use claimgate::app::Options;
use claimgate::config::Config;
use serde_json::{Value, json};

use crate::authority::{Authority, Mounted, Pair};
use crate::configuration::inline;
use crate::envoy::{self, CLAIMGATE, Envoy};
use crate::load::{Load, key_and_token, report};
use crate::mtls::{self, CLAIMGATE_ID, ENVOY_ID};
use crate::service::{TestService, eventually};

const ROTATIONS: u32 = 50;

/// So many handshakes after a new certificate none is under way any more that shows the old one.
const GRACE: f64 = 20.0;

#[tokio::test(flavor = "multi_thread")]
async fn authorities_and_certificates_of_both_sides_are_replaced_under_load_without_a_failed_handshake()
 {
    let (key, token) = key_and_token();
    let mut authority = Authority::new();
    let mut pairs = issue(&authority);
    let sides = pairs.each_ref().map(|pair| Mounted::with(pair, &authority.pem));
    let mut config = inline(&key);
    config["listen"] = mtls::listen(&sides[0]);
    config["listen"]["admin"] = "127.0.0.1:0".into();
    let config = Config::from_yaml(&config.to_string(), Path::new(".")).unwrap();
    let service = TestService::run(config, Options::default()).await;

    let directory = tempfile::tempdir().unwrap();
    let mut config = envoy::for_load(mtls::config(&directory, &sides[1], service.grpc));
    connect_often(&mut config);
    let envoy = Envoy::start(&config);
    let ingress = envoy.ingress().await;
    envoy.until_healthy(1).await;
    let updates =
        async || envoy.claimgate_stat("client_ssl_socket_factory.ssl_context_update_by_sds").await;
    let handshakes = async |result: &str| {
        let result = format!("result=\"{result}\"");
        service.metric(&["claimgate_tls_handshakes_total", &result]).await
    };

    let failures = async || handshakes("failed").await + handshakes("timeout").await;
    // An Envoy before 1.38 begins with a connection on which no handshake comes about.
    let failed_at_first = failures().await;
    assert!(failed_at_first <= 1.0, "{failed_at_first}");

    let mut steps = 0_u32;
    let at_first = updates().await;
    let load = Load::during(ingress, &token, async |load| {
        let mut put = async |pairs: &[Pair; 2], authorities: &str| {
            for (side, pair) in sides.iter().zip(pairs) {
                side.put_with(pair, authorities);
            }
            steps += 1;
            eventually("in force at Envoy", async || {
                updates().await >= at_first + u64::from(steps)
            })
            .await;
            let reloads = ["claimgate_tls_reloads_total", "result=\"ok\""];
            eventually("in force at claimgate", async || {
                service.metric(&reloads).await >= f64::from(steps)
            })
            .await;
        };
        for _ in 0..ROTATIONS {
            let new = Authority::new();
            let both = format!("{}{}", authority.pem, new.pem);
            put(&pairs, &both).await;
            pairs = issue(&new);
            put(&pairs, &both).await;
            let enough = handshakes("ok").await + GRACE;
            eventually("new handshakes", async || handshakes("ok").await > enough).await;
            put(&pairs, &new.pem).await;
            authority = new;
            load.goes_on(10).await;
        }
    })
    .await;

    let (ok, failed) = (handshakes("ok").await, failures().await - failed_at_first);
    report(&format!(
        "certificates and authorities of claimgate and Envoy replaced: {ROTATIONS} times, handshakes meanwhile: {ok}, \
         failed: {failed}, requests: {}, failed: {}",
        load.asked(),
        load.failed()
    ));
    assert_eq!(load.failed(), 0, "{}", load.told());
    assert!(failed == 0.0 && ok >= GRACE * f64::from(ROTATIONS), "{failed} of {ok}");
    for counter in ["upstream_cx_connect_fail", "ssl.connection_error", "ssl.fail_verify_error"] {
        assert_eq!(envoy.claimgate_stat(counter).await, 0, "{counter}");
    }
    assert!(envoy.claimgate_stat("ssl.handshake").await > 0, "there are such counters");
    drop(envoy);
    service.stop().await.unwrap();
}

/// claimgate's and Envoy's.
fn issue(authority: &Authority) -> [Pair; 2] {
    [CLAIMGATE_ID, ENVOY_ID].map(|name| authority.issue(&[name]))
}

/// A connection carries few requests, so that there are handshakes all the time.
fn connect_often(config: &mut Value) {
    let options = &mut envoy::cluster(config, CLAIMGATE)["typed_extension_protocol_options"];
    let options = &mut options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    assert!(options.is_object());
    options["common_http_protocol_options"] = json!({"max_requests_per_connection": 5});
}
