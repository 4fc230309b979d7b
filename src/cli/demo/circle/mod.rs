//! The whole circle, with nothing in it that is not the real thing: `claimgate issuer`, a Redis, claimgate, Envoy and two
//! services behind it, on loopback.
//!
//! [`story`] is what `claimgate demo --check` tells of it. As in [`super::world`], nothing is spawned: the services are
//! one future that runs beside the story, and programs end with their values.

mod issuer;
mod load;
mod own;
mod redis;
pub(super) mod story;

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::issuer::Issuer;
pub(super) use self::redis::Redis;
use super::echo::Echo;
use super::envoy::Envoy;
use super::envoy_config::{self, Addresses, INGRESS};
use super::world::{DemoError, listen, ready};
use crate::app::{App, Bound};
use crate::config::{Config, ConfigErrors};

/// The configuration, with the addresses that a user would write.
const CLAIMGATE: &str = include_str!("claimgate.yaml");

/// The running circle, as its story sees it.
#[derive(Debug)]
pub(super) struct Circle {
    issuer: Issuer,
    redis: Redis,
    envoy: Envoy,
    /// Envoy.
    ingress: SocketAddr,
    /// claimgate's.
    admin: SocketAddr,
    orders: Echo,
    stock: Echo,
}

impl Circle {
    /// Starts everything around `redis`, waits until it is ready, runs `story`, and ends everything. `None` if it was
    /// interrupted.
    pub(super) async fn run<T>(
        envoy: &Path,
        redis: Redis,
        interrupted: &CancellationToken,
        story: impl AsyncFnOnce(&mut Self) -> Result<T, DemoError>,
    ) -> Result<Option<T>, DemoError> {
        let binding = Box::pin(Services::bind(&redis));
        let Some(services) = interrupted.run_until_cancelled(binding).await else {
            return Ok(None);
        };
        let (services, parts) = services?;
        let stop_all = CancellationToken::new();
        let telling = async {
            let starting = Self::start(envoy, redis, parts);
            let Some(circle) = interrupted.run_until_cancelled(starting).await else {
                return Ok(None);
            };
            let mut circle = circle?;
            let told = interrupted.run_until_cancelled(story(&mut circle)).await.transpose();
            // Envoy first: it holds connections to everything else.
            circle.envoy.stop().await?;
            stop_all.cancel();
            told
        };
        // An error on either side ends both at once; what was told to stop ends in order.
        let ((), told) = tokio::try_join!(Box::pin(services.run(&stop_all)), Box::pin(telling))?;
        Ok(told)
    }

    /// What is where, and requests to paste: a token, both services, a logout.
    pub(super) fn welcome(&self) -> String {
        let Self { issuer, redis, ingress, admin, .. } = self;
        let (issuer, secret, redis) =
            (issuer.http, &issuer.secret, redis.socket().display().to_string());
        format!(
            "
And where tokens can be taken back:

reference issuer (deploy/issuer.md)          http://{issuer} (POST /token, /revoke, /logout)
Redis, where it writes what is revoked       {redis}
claimgate, which trusts it                   admin http://{admin} (/ in a browser, /status, /metrics)
Envoy, in front of two services              http://{ingress} (/orders, /stock)

A token, both services, a logout, and both services again:

LOGIN=agent:{secret}
TOKEN=$(curl -s -u $LOGIN -d grant_type=client_credentials -d audience=orders -d audience=stock http://{issuer}/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')

curl -i http://{ingress}/orders http://{ingress}/stock -H \"Authorization: Bearer $TOKEN\"
curl -i -u $LOGIN -d token=$TOKEN http://{issuer}/logout
curl -i http://{ingress}/orders http://{ingress}/stock -H \"Authorization: Bearer $TOKEN\"
"
        )
    }

    async fn start(envoy: &Path, redis: Redis, parts: Parts) -> Result<Self, DemoError> {
        let Parts { issuer, grpc, admin, orders, stock } = parts;
        ready(admin).await?;
        let ingress = SocketAddr::from(([127, 0, 0, 1], 0));
        let addresses = Addresses { ingress, claimgate: grpc, upstream: orders.1 };
        let config = envoy_config::for_two_services(addresses, stock.1)?;
        let mut envoy = Envoy::start(envoy, &config)?;
        let [ingress] = envoy.listeners([INGRESS]).await?;
        Ok(Self { issuer, redis, envoy, ingress, admin, orders: orders.0, stock: stock.0 })
    }
}

/// What is bound and not yet served.
struct Services {
    claimgate: Bound,
    orders: (Echo, TcpListener),
    stock: (Echo, TcpListener),
}

/// What the circle keeps of the services, and the issuer that runs already.
struct Parts {
    issuer: Issuer,
    grpc: SocketAddr,
    admin: SocketAddr,
    orders: (Echo, SocketAddr),
    stock: (Echo, SocketAddr),
}

impl Services {
    async fn bind(redis: &Redis) -> Result<(Self, Parts), DemoError> {
        // A new store holds nothing; that this is all there is, somebody has to say.
        own::must(Path::new("."), &["revoke", "init", "--redis", &redis.url()]).await?;
        let issuer = Issuer::start(&redis.url()).await?;
        let claimgate = App::bind(configuration(issuer.http, &redis.url())?).await?;
        let (grpc, admin) = (claimgate.grpc_addr(), claimgate.admin_addr());
        let (for_orders, orders_addr) = listen().await?;
        let (for_stock, stock_addr) = listen().await?;
        let (orders, stock) = (Echo::default(), Echo::default());
        let parts = Parts {
            issuer,
            grpc,
            admin,
            orders: (orders.clone(), orders_addr),
            stock: (stock.clone(), stock_addr),
        };
        Ok((Self { claimgate, orders: (orders, for_orders), stock: (stock, for_stock) }, parts))
    }

    /// Serves all three until `stop_all`; an error of one ends all.
    async fn run(self, stop_all: &CancellationToken) -> Result<(), DemoError> {
        let serve = async |(echo, listener): (Echo, TcpListener), what| {
            let ended = echo.run(listener, stop_all.clone()).await;
            ended.map_err(|error| DemoError::Service { what, error })
        };
        let claimgate = async { Ok(self.claimgate.run(stop_all.clone()).await?) };
        let (orders, stock) = (serve(self.orders, "orders"), serve(self.stock, "stock"));
        tokio::try_join!(claimgate, orders, stock).map(|_| ())
    }
}

fn configuration(issuer: SocketAddr, redis: &str) -> Result<Config, ConfigErrors> {
    Config::from_yaml(&configuration_text(issuer, redis), Path::new("."))
}

fn configuration_text(issuer: SocketAddr, redis: &str) -> String {
    CLAIMGATE
        .replace("127.0.0.1:9194", &issuer.to_string())
        .replace("unix:///run/redis.sock", redis)
        .replace("127.0.0.1:9191", "127.0.0.1:0")
        .replace("127.0.0.1:9193", "127.0.0.1:0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_accepted_and_every_address_in_it_is_replaced() {
        let issuer = SocketAddr::from(([127, 0, 0, 1], 4711));
        if let Err(errors) = configuration(issuer, "unix:///tmp/a.sock") {
            panic!("{errors}");
        }
        let text = configuration_text(issuer, "unix:///tmp/a.sock");
        for written in ["9191", "9193", "9194", "/run"] {
            assert!(!text.contains(written), "{written}");
        }
    }
}
