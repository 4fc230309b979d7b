//! Whether the service is ready, as told to others: `grpc.health.v1` and, through [`admin`](super::admin),
//! `/readyz`. What readiness depends on is `app::readiness`' business.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use super::ext_authz::SERVICE_NAME;

/// Readiness at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyState {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// What is missing, or was once there and is not any more; one line each.
    pub pending: Vec<String>,
}

/// The `grpc.health.v1` service and what tells it the state. "" and the service's own name answer alike.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
}

const NAMES: [&str; 2] = ["", SERVICE_NAME];

impl Health {
    /// Not serving until told otherwise.
    pub async fn new() -> Self {
        let health = Self { reporter: HealthReporter::new() };
        health.set_serving(false).await;
        health
    }

    /// Tells everybody who asks or watches.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Ends all `Watch` streams: they would hold their connections open for ever.
    pub async fn end_watches(&self) {
        let mut reporter = self.reporter.clone();
        for name in NAMES {
            reporter.clear_service_status(name).await;
        }
    }

    /// The service in the form that a gRPC server takes.
    pub fn service(&self) -> HealthServer<impl HealthApi> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}
