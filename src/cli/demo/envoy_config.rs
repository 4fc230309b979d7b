//! The shipped Envoy configuration with the demo's addresses in it, and a second, bare listener; or a second service, for
//! the circle.
//!
//! The first listener is what we ship, so the demo shows what users get. The second has neither the
//! filter that removes reserved headers nor the option that drops names with `_`: what holds there, claimgate
//! holds alone. Pure; [`super::envoy`] writes the result to a file and runs it.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// `deploy/envoy/envoy.yaml`, as it is shipped.
const SHIPPED: &str = include_str!("../../../deploy/envoy/envoy.yaml");

/// The name of the shipped listener.
pub(super) const INGRESS: &str = "ingress";
/// The name of the second one.
pub(super) const BARE: &str = "bare";

/// What is where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    /// Where the shipped listener is to listen. Port 0: any.
    pub(super) ingress: SocketAddr,
    /// claimgate's gRPC port.
    pub(super) claimgate: SocketAddr,
    /// The upstream.
    pub(super) upstream: SocketAddr,
}

/// The shipped configuration has changed and the demo has not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShippedError {
    /// It is not YAML.
    #[error("deploy/envoy/envoy.yaml cannot be read: {0}")]
    Yaml(String),
    /// Something that the demo replaces or leaves out is not where it was.
    #[error("deploy/envoy/envoy.yaml has nothing at {0}")]
    Missing(&'static str),
}

const LISTENERS: &str = "/static_resources/listeners";
const LISTENER: &str = "/static_resources/listeners/0";
const CLUSTERS: &str = "/static_resources/clusters";
const ADDRESS: &str = "/address/socket_address";
const HCM: &str = "/filter_chains/0/filters/0/typed_config";
const ENDPOINT: &str =
    "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";

/// The shipped configuration with the demo's addresses, and the bare listener.
pub(super) fn patched(addresses: Addresses) -> Result<Value, ShippedError> {
    let mut config = shipped(addresses)?;
    let bare = bare(at(&mut config, LISTENER)?.clone())?;
    list(&mut config, LISTENERS)?.push(bare);
    Ok(config)
}

/// The shipped configuration with the demo's addresses, and a second service, `stock`, for the paths below `/stock`.
pub(super) fn for_two_services(
    addresses: Addresses,
    stock: SocketAddr,
) -> Result<Value, ShippedError> {
    const ROUTES: &str = "/route_config/virtual_hosts/0/routes";
    const TIMEOUT: &str = "/http_filters/1/typed_config/grpc_service/timeout";
    let mut config = shipped(addresses)?;
    let mut cluster = cluster(&mut config, "upstream")?.clone();
    cluster["name"] = json!("stock");
    cluster["load_assignment"]["cluster_name"] = json!("stock");
    *at(&mut cluster, ENDPOINT)? = socket(stock);
    list(&mut config, CLUSTERS)?.push(cluster);
    let manager = at(at(&mut config, LISTENER)?, HCM)?;
    let route =
        json!({"match": {"path_separated_prefix": "/stock"}, "route": {"cluster": "stock"}});
    list(manager, ROUTES)?.insert(0, route);
    // Every answer counts here, and on a busy machine a quarter of a second passes without anybody's fault.
    *at(manager, TIMEOUT)? = json!("10s");
    Ok(config)
}

fn shipped(addresses: Addresses) -> Result<Value, ShippedError> {
    let mut config: Value =
        serde_saphyr::from_str(SHIPPED).map_err(|error| ShippedError::Yaml(error.to_string()))?;
    *at(at(&mut config, LISTENER)?, ADDRESS)? = socket(addresses.ingress);
    for (name, address) in [("claimgate", addresses.claimgate), ("upstream", addresses.upstream)] {
        *at(cluster(&mut config, name)?, ENDPOINT)? = socket(address);
    }
    // The demo asks it which ports were chosen, and whether the listeners are up.
    config["admin"] = json!({"address": {"socket_address": socket(loopback())}});
    Ok(config)
}

/// The shipped listener without what protects the reserved headers besides claimgate.
fn bare(mut listener: Value) -> Result<Value, ShippedError> {
    const FILTERS: &str = "/http_filters";
    const UNDERSCORES: &str = "/common_http_protocol_options/headers_with_underscores_action";
    listener["name"] = json!(BARE);
    *at(&mut listener, ADDRESS)? = socket(loopback());
    let manager = at(&mut listener, HCM)?;
    manager["stat_prefix"] = json!(BARE);
    *at(manager, UNDERSCORES)? = json!("ALLOW");
    let filters = list(manager, FILTERS)?;
    let before = filters.len();
    filters.retain(|filter| {
        let kind = filter.pointer("/typed_config/@type").and_then(Value::as_str);
        !kind.is_some_and(|kind| kind.ends_with(".HeaderMutation"))
    });
    if filters.len() + 1 != before {
        return Err(ShippedError::Missing("http_filters: one HeaderMutation"));
    }
    Ok(listener)
}

fn at<'a>(value: &'a mut Value, pointer: &'static str) -> Result<&'a mut Value, ShippedError> {
    value.pointer_mut(pointer).ok_or(ShippedError::Missing(pointer))
}

fn list<'a>(
    value: &'a mut Value,
    pointer: &'static str,
) -> Result<&'a mut Vec<Value>, ShippedError> {
    at(value, pointer)?.as_array_mut().ok_or(ShippedError::Missing(pointer))
}

fn cluster<'a>(config: &'a mut Value, name: &str) -> Result<&'a mut Value, ShippedError> {
    let mut clusters = list(config, CLUSTERS)?.iter_mut();
    clusters.find(|cluster| cluster["name"] == name).ok_or(ShippedError::Missing(CLUSTERS))
}

fn socket(address: SocketAddr) -> Value {
    json!({"address": address.ip().to_string(), "port_value": address.port()})
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Value {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses =
            Addresses { ingress: address(1), claimgate: address(2), upstream: address(3) };
        patched(addresses).unwrap()
    }

    #[test]
    fn every_address_of_the_shipped_file_is_replaced() {
        let text = example().to_string();
        for shipped in ["0.0.0.0", "10000", "9191", "8080"] {
            assert!(!text.contains(shipped), "{shipped}");
        }
        for port in 1..=3 {
            assert!(text.contains(&format!("\"port_value\":{port}")), "{port}");
        }
    }

    #[test]
    fn a_second_service_is_a_cluster_and_the_first_route_and_nothing_else() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses =
            Addresses { ingress: address(1), claimgate: address(2), upstream: address(3) };
        let (one, mut two) =
            (shipped(addresses).unwrap(), for_two_services(addresses, address(4)).unwrap());
        let stock = list(&mut two, CLUSTERS).unwrap().pop().unwrap();
        assert_eq!(stock.pointer(ENDPOINT).unwrap()["port_value"], 4);
        let manager = two.pointer_mut(&format!("{LISTENER}{HCM}")).unwrap();
        let route = list(manager, "/route_config/virtual_hosts/0/routes").unwrap().remove(0);
        assert_eq!(route["route"]["cluster"], "stock");
        manager["http_filters"][1]["typed_config"]["grpc_service"]["timeout"] = json!("0.25s");
        assert_eq!(one, two);
    }

    #[test]
    fn the_bare_listener_lacks_the_protections_and_nothing_else() {
        let config = example();
        let manager =
            |index: usize| config.pointer(&format!("{LISTENERS}/{index}{HCM}")).unwrap().clone();
        let (shipped, mut bare) = (manager(0), manager(1));
        assert_eq!(shipped["http_filters"].as_array().unwrap().len(), 3);
        assert_eq!(bare["http_filters"].as_array().unwrap().len(), 2);
        bare["http_filters"] = shipped["http_filters"].clone();
        bare["stat_prefix"] = shipped["stat_prefix"].clone();
        bare["common_http_protocol_options"] = shipped["common_http_protocol_options"].clone();
        assert_eq!(shipped, bare);
    }

    #[test]
    fn the_shipped_file_holds_what_the_design_promises() {
        let config = example();
        let manager = config.pointer(&format!("{LISTENER}{HCM}")).unwrap();
        for (pointer, expected) in [
            ("/common_http_protocol_options/headers_with_underscores_action", json!("DROP_HEADER")),
            ("/path_with_escaped_slashes_action", json!("REJECT_REQUEST")),
            ("/merge_slashes", json!(true)),
            ("/normalize_path", json!(true)),
            ("/http_filters/1/typed_config/failure_mode_allow", json!(false)),
            ("/http_filters/1/typed_config/validate_mutations", json!(true)),
            ("/http_filters/1/typed_config/status_on_error/code", json!("ServiceUnavailable")),
            ("/http_filters/1/typed_config/grpc_service/timeout", json!("0.25s")),
        ] {
            assert_eq!(manager.pointer(pointer), Some(&expected), "{pointer}");
        }
    }

    #[test]
    fn the_snippet_is_the_shipped_file_filter_for_filter() {
        let snippet: Value =
            serde_saphyr::from_str(include_str!("../../../deploy/envoy/filter.yaml")).unwrap();
        let shipped: Value = serde_saphyr::from_str(SHIPPED).unwrap();
        let manager = shipped.pointer(&format!("{LISTENER}{HCM}")).unwrap();
        assert_eq!(snippet["http_filters"][0], manager["http_filters"][0]);
        assert_eq!(snippet["http_filters"][1], manager["http_filters"][1]);
        assert_eq!(snippet["clusters"][0], shipped.pointer(CLUSTERS).unwrap()[0]);
    }
}
