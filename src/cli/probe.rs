//! `claimgate probe ADDRESS`: asks a running claimgate, as Envoy's health check does, whether requests may be sent to it.
//! For probes that run a command in a container without a shell, and for `helm test`. One question, no retry.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time;
use tonic::transport::Endpoint;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::output::{answer, complain};
use crate::config;
use crate::util::escape::innermost_cause;

/// Arguments of `probe`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where claimgate listens for gRPC: host:port, [::1]:9191 or unix:///run/claimgate.sock.
    #[arg(value_name = "ADDRESS", value_parser = endpoint)]
    address: Box<Endpoint>,
    /// Give up after this time, connecting included: 500ms, 1s.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = config::duration)]
    timeout: Duration,
}

/// 0 when it is serving; 1 when it is not, not yet, or not any more, and when nobody answers.
pub fn run(args: &Args) -> ExitCode {
    match asked(args) {
        Ok(()) => {
            answer(&"serving");
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain("probe", &why);
            ExitCode::FAILURE
        }
    }
}

/// Why it does not count as serving.
#[derive(Debug, thiserror::Error)]
enum NotServing {
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Without the message: it is somebody else's text.
    #[error("the health check was answered with gRPC status {0:?}")]
    Refused(tonic::Code),
    #[error("not serving: /readyz on the admin port says what is missing")]
    Not,
}

fn asked(args: &Args) -> Result<(), NotServing> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(NotServing::Runtime)?.block_on(async {
        let answer = time::timeout(args.timeout, ask(&args.address)).await;
        answer.unwrap_or(Err(NotServing::Timeout(args.timeout)))
    })
}

async fn ask(address: &Endpoint) -> Result<(), NotServing> {
    let channel = address.connect().await;
    let channel = channel.map_err(|error| {
        // What the operating system says, under the words of the libraries between.
        NotServing::Connect(innermost_cause(&error).unwrap_or_else(|| error.to_string()))
    })?;
    // The empty name: the server as a whole.
    let request = HealthCheckRequest { service: String::new() };
    let answer = HealthClient::new(channel).check(request).await;
    let status = answer.map_err(|status| NotServing::Refused(status.code()))?.into_inner().status;
    if status == ServingStatus::Serving as i32 { Ok(()) } else { Err(NotServing::Not) }
}

fn endpoint(text: &str) -> Result<Box<Endpoint>, String> {
    const ACCEPTED: &str = "host:port, [::1]:9191 or unix:///run/claimgate.sock is accepted";
    let target = match text.strip_prefix("unix:") {
        // The three slashes are two of the scheme and one of the path: a socket has an absolute path.
        Some(path) if path.starts_with("///") => text.to_owned(),
        None if has_port(text) => format!("http://{text}"),
        Some(_) | None => return Err(ACCEPTED.to_owned()),
    };
    Endpoint::from_shared(target).map(Box::new).map_err(|_| ACCEPTED.to_owned())
}

/// Whether `text` is a host and a port and nothing else.
fn has_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let plain = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    plain && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_or_an_absolute_socket_path() {
        for text in ["127.0.0.1:9191", "[::1]:9191", "claimgate.authz:9191", "unix:///run/a.sock"] {
            assert!(endpoint(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "9191",
            ":9191",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:9191/x",
            "http://host:9191",
            "user@host:9191",
            "unix:a.sock",
            "unix://a.sock",
            "a b:1",
        ] {
            assert!(endpoint(text).unwrap_err().contains("is accepted"), "{text}");
        }
    }

    #[test]
    fn nobody_there_is_said_in_the_systems_own_words() {
        // Taken and given back: nobody listens on it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let args = Args { address: endpoint(&address).unwrap(), timeout: Duration::from_secs(20) };
        let why = asked(&args).unwrap_err().to_string();
        assert!(why.starts_with("cannot connect: Connection refused"), "{why}");
    }

    #[test]
    fn somebody_who_never_answers_is_not_waited_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = endpoint(&listener.local_addr().unwrap().to_string()).unwrap();
        let args = Args { address, timeout: Duration::from_millis(50) };
        assert!(matches!(asked(&args), Err(NotServing::Timeout(_))));
    }
}
