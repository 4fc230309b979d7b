//! Envoy's configuration: one listener for each filter, all alike but for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::ANSWER;
use crate::world;

/// What stands before the router.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    None,
    JwtAuthn { cached: bool },
    ExtAuthz(Authorizer),
}

/// Where `ext_authz` asks.
#[derive(Clone, Debug)]
pub(super) enum Authorizer {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// With one listener for each of `filters`, at the address beside it.
pub(super) fn config(filters: &[(&Filter, SocketAddr)], jwk: &Value) -> Value {
    let places = filters.iter().enumerate();
    let listeners = places.clone().map(|(place, (filter, address))| {
        let filter = http_filter(filter, &name(place), jwk);
        listener(&name(place), *address, filter)
    });
    let clusters = places.filter_map(|(place, (filter, _))| match filter {
        Filter::ExtAuthz(authorizer) => Some(cluster(&name(place), authorizer)),
        Filter::None | Filter::JwtAuthn { .. } => None,
    });
    json!({"static_resources": {
        "listeners": listeners.collect::<Vec<_>>(),
        "clusters": clusters.collect::<Vec<_>>(),
    }})
}

fn name(place: usize) -> String {
    format!("n{place}")
}

fn listener(name: &str, address: SocketAddr, filter: Option<Value>) -> Value {
    let router = typed(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        json!({}),
    );
    let manager = json!({
        "stat_prefix": name,
        "codec_type": "HTTP2",
        "http_filters": filter.into_iter().chain([router]).collect::<Vec<_>>(),
        "route_config": {"virtual_hosts": [{
            "name": name,
            "domains": ["*"],
            "routes": [{
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": ANSWER}},
            }],
        }]},
    });
    let manager = typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    json!({
        "name": name,
        "address": socket_address(address),
        "filter_chains": [{"filters": [manager]}],
    })
}

fn http_filter(filter: &Filter, cluster: &str, jwk: &Value) -> Option<Value> {
    match filter {
        Filter::None => None,
        Filter::JwtAuthn { cached } => Some(jwt_authn(*cached, jwk)),
        Filter::ExtAuthz(_) => Some(typed(
            "envoy.filters.http.ext_authz",
            "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            json!({
                "transport_api_version": "V3",
                // Patient: a machine that is busy with other things makes no errors here.
                "grpc_service": {"envoy_grpc": {"cluster_name": cluster}, "timeout": "10s"},
            }),
        )),
    }
}

/// What claimgate is configured to do, in Envoy's words.
fn jwt_authn(cached: bool, jwk: &Value) -> Value {
    let headers =
        world::FORWARDED.map(|(claim, header)| json!({"header_name": header, "claim_name": claim}));
    let mut provider = json!({
        "issuer": world::ISSUER,
        "audiences": [world::AUDIENCE],
        "local_jwks": {"inline_string": json!({"keys": [jwk]}).to_string()},
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "claim_to_headers": headers,
    });
    if cached {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": 1000});
    }
    typed(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"accounts": provider},
            "rules": [
                {"match": {"path": "/healthz"}},
                {"match": {"prefix": "/"}, "requires": {"provider_name": "accounts"}},
            ],
        }),
    )
}

fn cluster(name: &str, authorizer: &Authorizer) -> Value {
    let address = match authorizer {
        Authorizer::Tcp(address) => socket_address(*address),
        Authorizer::Unix(path) => json!({"pipe": {"path": path}}),
    };
    let most = 100_000;
    json!({
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        },
        "circuit_breakers": {"thresholds": [{"max_pending_requests": most, "max_requests": most}]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    })
}

fn socket_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

fn typed(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/{kind}").into();
    json!({"name": name, "typed_config": config})
}
