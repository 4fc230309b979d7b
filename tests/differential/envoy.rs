//! The one Envoy: for each world and each front two listeners, one with `jwt_authn` and one with claimgate.
//!
//! All of them are the listener that we ship, `deploy/envoy/envoy.yaml`, so that both filters stand behind the same
//! connection manager, and claimgate behind the very settings that its users have.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::client::{Request, send};
use crate::kept;
use crate::service::eventually;
use crate::world::World;

/// What stands in front of both filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Front {
    /// What we ship.
    Shipped,
    /// Neither normalised paths nor dropped names with `_`; and claimgate without the filter that removes reserved
    /// headers. What holds here, each holds alone.
    Bare,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    JwtAuthn,
    Claimgate,
}

/// A listener's name.
pub(crate) fn listener_name(world: &str, front: Front, side: Side) -> String {
    format!("{world}/{front:?}/{side:?}")
}

/// Envoy's configuration, as it grows.
pub(crate) struct Setup {
    template: Value,
    config: Value,
}

const LISTENERS: &str = "/static_resources/listeners";
const CLUSTERS: &str = "/static_resources/clusters";
const MANAGER: &str = "/filter_chains/0/filters/0/typed_config";
const ENDPOINT: &str =
    "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";

impl Setup {
    pub(crate) fn new(upstream: SocketAddr) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = fs::read_to_string(root.join("deploy/envoy/envoy.yaml")).unwrap();
        let template: Value = serde_saphyr::from_str(&shipped).unwrap();
        let mut config = template.clone();
        *config.pointer_mut(LISTENERS).unwrap() = json!([]);
        *config.pointer_mut(CLUSTERS).unwrap() = json!([]);
        config["admin"] = json!({"address": {"socket_address": loopback()}});
        let mut setup = Self { template, config };
        setup.cluster("upstream", "upstream", upstream);
        setup
    }

    /// Two listeners for a world, of which claimgate's asks `claimgate`.
    pub(crate) fn add(&mut self, world: &World, front: Front, claimgate: SocketAddr) {
        let jwt_authn =
            json!({"name": "envoy.filters.http.jwt_authn", "typed_config": world.jwt_authn()});
        self.add_pair(world.name, front, jwt_authn, claimgate);
        for (path, said) in world.routes.iter().rev() {
            self.add_route(world.name, front, Side::JwtAuthn, path, &said.to_jwt_authn());
            self.add_route(world.name, front, Side::Claimgate, path, &said.to_ext_authz());
        }
    }

    /// A route in front of the others of a listener that is there.
    fn add_route(&mut self, world: &str, front: Front, side: Side, path: &str, config: &Value) {
        let name = listener_name(world, front, side);
        let listeners = self.config.pointer_mut(LISTENERS).unwrap().as_array_mut().unwrap();
        let listener = listeners.iter_mut().find(|one| one["name"] == name).unwrap();
        let manager = listener.pointer_mut(MANAGER).unwrap();
        let routes = manager.pointer_mut("/route_config/virtual_hosts/0/routes").unwrap();
        let mut route = routes[0].clone();
        route["match"] = json!({"path_separated_prefix": path});
        route["typed_per_filter_config"] = config.clone();
        routes.as_array_mut().unwrap().insert(0, route);
    }

    /// Two listeners, one with this filter and one that asks `claimgate`.
    pub(crate) fn add_pair(
        &mut self,
        name: &str,
        front: Front,
        jwt_authn: Value,
        claimgate: SocketAddr,
    ) {
        // Envoy sends the cluster's name as `:authority`, which must be one: no slash in it.
        let cluster = format!("claimgate-{name}");
        if front == Front::Shipped {
            self.cluster("claimgate", &cluster, claimgate);
        }
        self.listener(name, front, Side::JwtAuthn, |filters| {
            filters.splice(0..filters.len() - 1, [jwt_authn]);
        });
        self.listener(name, front, Side::Claimgate, |filters| {
            let grpc = filters[1].pointer_mut("/typed_config/grpc_service").unwrap();
            grpc["envoy_grpc"]["cluster_name"] = json!(cluster);
            // So that a loaded machine decides nothing.
            grpc["timeout"] = json!("15s");
            if front == Front::Bare {
                filters.remove(0);
            }
        });
    }

    /// A listener with this filter, and one where claimgate is in front of it, which may only watch.
    pub(crate) fn add_before(
        &mut self,
        name: &str,
        jwt_authn: &Value,
        claimgate: SocketAddr,
        watches: bool,
    ) {
        let cluster = format!("claimgate-{name}");
        self.cluster("claimgate", &cluster, claimgate);
        self.listener(name, Front::Shipped, Side::JwtAuthn, |filters| {
            filters.splice(0..filters.len() - 1, [jwt_authn.clone()]);
        });
        self.listener(name, Front::Shipped, Side::Claimgate, |filters| {
            let ext_authz = &mut filters[1]["typed_config"];
            ext_authz["grpc_service"]["envoy_grpc"]["cluster_name"] = json!(cluster);
            ext_authz["grpc_service"]["timeout"] = json!("15s");
            ext_authz["shadow_mode"] = json!(watches);
            filters.insert(2, jwt_authn.clone());
            if watches {
                filters.remove(0);
            }
        });
    }

    /// A cluster made after the shipped one of the name `like`.
    pub(crate) fn cluster(&mut self, like: &str, name: &str, address: SocketAddr) {
        let shipped = self.template.pointer(CLUSTERS).unwrap().as_array().unwrap();
        let mut cluster = shipped.iter().find(|cluster| cluster["name"] == like).unwrap().clone();
        cluster["name"] = json!(name);
        cluster["load_assignment"]["cluster_name"] = json!(name);
        *cluster.pointer_mut(ENDPOINT).unwrap() = socket(address);
        self.push(CLUSTERS, cluster);
    }

    fn listener(
        &mut self,
        world: &str,
        front: Front,
        side: Side,
        change: impl FnOnce(&mut Vec<Value>),
    ) {
        let mut listener = self.template.pointer(LISTENERS).unwrap()[0].clone();
        listener["name"] = json!(listener_name(world, front, side));
        listener["address"]["socket_address"] = loopback();
        let manager = listener.pointer_mut(MANAGER).unwrap();
        manager["access_log"] = json!([]);
        if front == Front::Bare {
            manager["normalize_path"] = json!(false);
            manager["merge_slashes"] = json!(false);
            manager["path_with_escaped_slashes_action"] = json!("KEEP_UNCHANGED");
            manager["common_http_protocol_options"]["headers_with_underscores_action"] =
                json!("ALLOW");
        }
        change(manager["http_filters"].as_array_mut().unwrap());
        self.push(LISTENERS, listener);
    }

    /// A cluster as somebody else wrote it.
    pub(crate) fn add_cluster(&mut self, cluster: Value) {
        self.push(CLUSTERS, cluster);
    }

    fn push(&mut self, list: &str, value: Value) {
        self.config.pointer_mut(list).unwrap().as_array_mut().unwrap().push(value);
    }

    pub(crate) fn config(&self) -> &Value {
        &self.config
    }

    pub(crate) async fn start(self, path: &Path) -> Envoy {
        Envoy::start(path, &self.config).await
    }
}

fn loopback() -> Value {
    socket(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn socket(address: SocketAddr) -> Value {
    json!({"address": address.ip().to_string(), "port_value": address.port()})
}

/// A running Envoy, until it is dropped.
pub(crate) struct Envoy {
    // Before the directory: fields are dropped in this order.
    child: Child,
    directory: TempDir,
    listeners: Vec<(String, SocketAddr)>,
}

impl Envoy {
    async fn start(path: &Path, config: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("envoy.json"), config.to_string()).unwrap();
        // Envoy appends to what is there.
        drop(kept::file("envoy", &file("envoy.log")));
        let child = Command::new(path)
            .arg("--config-path")
            .arg(file("envoy.json"))
            .arg("--log-path")
            .arg(file("envoy.log"))
            .arg("--admin-address-path")
            .arg(file("admin"))
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut envoy = Self { child, directory, listeners: Vec::new() };
        let mut found = Vec::new();
        eventually("Envoy's listeners are up", async || {
            if let Some(status) = envoy.child.try_wait().unwrap() {
                panic!("Envoy ended ({status}):\n{}", envoy.log());
            }
            found = envoy.look_up().await.unwrap_or_default();
            !found.is_empty()
        })
        .await;
        envoy.listeners = found;
        envoy
    }

    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let mut all = self.listeners.iter();
        let found = all.find(|(name, _)| name == listener);
        found.unwrap_or_else(|| panic!("no listener {listener}")).1
    }

    async fn look_up(&self) -> Option<Vec<(String, SocketAddr)>> {
        let admin = fs::read_to_string(self.directory.path().join("admin")).ok()?;
        let admin = admin.trim().parse().ok()?;
        // 200 once the first health checks are through and the workers listen.
        if send(admin, &Request::get("/ready")).await.status != 200 {
            return None;
        }
        let answer = send(admin, &Request::get("/listeners?format=json")).await;
        let listeners: Value = serde_json::from_str(&answer.body).ok()?;
        let listeners = listeners["listener_statuses"].as_array()?.iter().map(|listener| {
            let socket = &listener["local_address"]["socket_address"];
            let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
            let name = listener["name"].as_str()?.to_owned();
            Some((name, SocketAddr::new(socket["address"].as_str()?.parse().ok()?, port)))
        });
        listeners.collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("envoy.log")).unwrap_or_default()
    }
}
