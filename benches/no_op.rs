//! What tonic and prost cost by themselves: a service that decodes the request and answers "allow", always. One worker.
//! Nothing in it is claimgate's, the types are published ones: it is what anybody gets who begins such a service in Rust.

use std::io::Write as _;

use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc::Status;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use crate::BoxError;

/// Says on standard output where it listens, and runs until it is killed.
pub(crate) fn serve() -> Result<(), BoxError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout().lock(), "{}", listener.local_addr()?)?;
        run(listener, std::future::pending()).await
    })
}

pub(crate) async fn run(
    listener: TcpListener,
    until: impl Future<Output = ()>,
) -> Result<(), BoxError> {
    let incoming = TcpListenerStream::new(listener);
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(AuthorizationServer::new(NoOp))
        .serve_with_incoming_shutdown(incoming, until)
        .await?;
    Ok(())
}

struct NoOp;

#[tonic::async_trait]
impl Authorization for NoOp {
    async fn check(
        &self,
        _: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        Ok(tonic::Response::new(CheckResponse {
            status: Some(Status::default()),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
            ..CheckResponse::default()
        }))
    }
}
