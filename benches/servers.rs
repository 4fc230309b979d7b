//! The servers that benches/check.rs compares, each in a thread of its own with one worker.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use claimgate::app::App;
use claimgate::config::Config;
use claimgate::proto::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use claimgate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use claimgate::proto::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use claimgate::proto::google::rpc::Status;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A server that runs until [`Running::stop`].
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    thread: JoinHandle<Result<(), BoxError>>,
}

impl Running {
    /// What tonic and prost cost by themselves: decodes the request and answers "allow", always.
    pub(crate) fn no_op() -> Result<Self, BoxError> {
        Self::start("no-op", |bound, shutdown| async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            bound.send(listener.local_addr()?)?;
            tonic::transport::Server::builder()
                .tcp_nodelay(true)
                .add_service(AuthorizationServer::new(NoOp))
                .serve_with_incoming_shutdown(
                    TcpListenerStream::new(listener),
                    shutdown.cancelled_owned(),
                )
                .await?;
            Ok(())
        })
    }

    /// The real service, as `claimgate serve` runs it.
    pub(crate) fn claimgate(config: Config) -> Result<Self, BoxError> {
        Self::start("claimgate", |bound, shutdown| async move {
            let app = App::bind(config).await?;
            bound.send(app.grpc_addr())?;
            app.run(shutdown).await?;
            Ok(())
        })
    }

    fn start<F, Serving>(name: &'static str, serve: F) -> Result<Self, BoxError>
    where
        F: FnOnce(mpsc::SyncSender<SocketAddr>, CancellationToken) -> Serving + Send + 'static,
        Serving: Future<Output = Result<(), BoxError>>,
    {
        let shutdown = CancellationToken::new();
        let (bound, address) = mpsc::sync_channel(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()?;
        let token = shutdown.clone();
        let thread = std::thread::spawn(move || runtime.block_on(serve(bound, token)));
        match address.recv_timeout(Duration::from_secs(30)) {
            Ok(address) => Ok(Self { name, address, shutdown, thread }),
            // Its own error says more than that it did not report.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let ended = thread.join().map_err(|_| "the server panicked")?;
                Err(ended.err().unwrap_or_else(|| "the server ended at once".into()))
            }
            Err(error @ mpsc::RecvTimeoutError::Timeout) => Err(error.into()),
        }
    }

    /// How long its worker has been on a processor; `None` where the system does not say.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let mut total = None;
        for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if name.trim_end() == self.name {
                let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
                let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
                *total.get_or_insert(Duration::ZERO) += Duration::from_nanos(nanoseconds);
            }
        }
        total
    }

    pub(crate) fn stop(self) -> Result<(), BoxError> {
        self.shutdown.cancel();
        self.thread.join().map_err(|_| "the server panicked")?
    }
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
