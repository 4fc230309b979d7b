//! `claimgate jwks fetch URL|FILE`: reads a JWK Set once, the way the service does, and says what the service would make
//! of it. It judges nothing itself and changes nothing; `report` writes down what was found.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use url::Url;

use self::report::{Headers, Report};
use super::output::{Output, answer, complain};
use crate::config;
use crate::keys::jwks::Examined;
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::source::remote::HttpClient;
use crate::keys::source::{SourceError, SourceKind};
use crate::util::file;

/// Arguments of `jwks`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Read a JWK Set and say which of its keys would be used, which not and why, and when it would be read again.
    Fetch(Fetch),
}

#[derive(Clone, Debug, clap::Args)]
struct Fetch {
    /// Where the JWK Set is.
    #[arg(value_name = "URL|FILE", value_parser = location)]
    location: Location,
    /// What keys may be used for, separated by commas; by default all that claimgate can verify.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = algorithm)]
    algorithms: Vec<Algorithm>,
    /// Give up after this time: 500ms, 5s, 1m; a plain number is seconds.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    timeout: Duration,
    /// Refuse a longer document: 512KiB, 1MiB; a plain number is bytes.
    #[arg(long, value_name = "SIZE", default_value = "512KiB", value_parser = size)]
    max_bytes: usize,
    /// How to print the outcome; json is one object on one line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Debug)]
enum Location {
    Url(Url),
    File(PathBuf),
}

impl Location {
    /// Without what may be a secret in a URL.
    fn shown(&self) -> String {
        match self {
            Self::Url(url) => SourceKind::Url(url.clone()).location(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

const COMMAND: &str = "jwks fetch";

/// 0 when at least one key can be used, 1 when none can or there was nothing to read.
pub fn run(args: &Args) -> ExitCode {
    let Command::Fetch(args) = &args.command;
    if let Location::Url(url) = &args.location
        && url.scheme() == "http"
    {
        complain(
            COMMAND,
            &"plain http: anyone on the way can replace the keys, and production refuses such a URL",
        );
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(COMMAND, &format_args!("cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let report = runtime.block_on(examine(args));
    // Names that are still being resolved, a file system that does not answer: the deadline is over.
    runtime.shutdown_background();
    let text = match args.output {
        Output::Text => report.text(),
        Output::Json => report.json(),
    };
    answer(&text);
    if report.is_usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn examine(args: &Fetch) -> Report {
    let location = args.location.shown();
    let (document, headers) = match read(args).await {
        Ok(read) => read,
        Err(error) => return Report::unread(location, &error),
    };
    let accepted = if args.algorithms.is_empty() {
        AlgorithmSet::ALL
    } else {
        args.algorithms.iter().copied().collect()
    };
    // As a source would: only documents on this machine may be keysets.
    let examined = match &args.location {
        Location::Url(_) => Examined::parse(&document, accepted, MAX_KEYS),
        Location::File(_) => Examined::parse_local(&document, accepted, MAX_KEYS),
    };
    Report::read(location, headers, examined)
}

/// The document, and what came with it over HTTP.
async fn read(args: &Fetch) -> Result<(Vec<u8>, Option<Headers>), SourceError> {
    match &args.location {
        Location::Url(url) => {
            let fetched = HttpClient::new().fetch(url, None, args.max_bytes, args.timeout).await?;
            let headers = Headers {
                etag: fetched.validators.etag().map(str::to_owned),
                last_modified: fetched.validators.last_modified().map(str::to_owned),
                cache_control: fetched.cache_control,
            };
            // Without a condition there is no 304.
            Ok((fetched.document.unwrap_or_default(), Some(headers)))
        }
        Location::File(path) => {
            let turn = file::Turn::default();
            Ok((file::read(&turn, path, args.max_bytes, args.timeout).await?, None))
        }
    }
}

fn location(text: &str) -> Result<Location, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" || url.scheme() == "http" => Ok(Location::Url(url)),
        _ if text.is_empty() || text.contains("://") => {
            Err("an http or https URL, or the path of a file is accepted".to_owned())
        }
        _ => Ok(Location::File(PathBuf::from(text))),
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(text).ok_or_else(|| {
        let names = Algorithm::ALL.map(Algorithm::name).join(", ");
        format!("{names} are accepted")
    })
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = text.parse().map(Duration::from_secs).or_else(|_| config::duration(text));
    let accepted = timeout.ok().filter(|timeout| !timeout.is_zero() && *timeout <= MAX_TIMEOUT);
    accepted.ok_or_else(|| format!("1ms to {}s are accepted", MAX_TIMEOUT.as_secs()))
}

fn size(text: &str) -> Result<usize, String> {
    let accepted = config::size(text).ok().filter(|size| *size <= MAX_BYTES);
    accepted.ok_or_else(|| format!("0 to {MAX_BYTES} bytes are accepted"))
}

/// As `limits.jwks_keys` is without configuration.
const MAX_KEYS: usize = 256;

const MAX_TIMEOUT: Duration = Duration::from_secs(600);

const MAX_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_read_is_an_http_url_or_else_a_file() {
        let shown = |text: &str| location(text).map(|location| location.shown());
        assert_eq!(shown("HTTPS://u:p@id.example/j?k=1").unwrap(), "https://id.example/j");
        assert_eq!(shown("a:b/c.json").unwrap(), "a:b/c.json");
        assert!(matches!(location("keys.json"), Ok(Location::File(_))));
        for text in ["", "ftp://id.example/j", "file:///etc/keys", "https://", "http://a b/"] {
            assert!(location(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_and_sizes_are_bounded() {
        assert_eq!(timeout("2"), Ok(Duration::from_secs(2)));
        assert_eq!(timeout("150ms"), Ok(Duration::from_millis(150)));
        assert_eq!(timeout("5m"), Ok(Duration::from_secs(300)));
        for text in ["", "0", "0ms", "-1", "1.5", "601", "s", "11m", "99999999999999999999"] {
            assert!(timeout(text).is_err(), "{text}");
        }
        assert_eq!(size("2KiB"), Ok(2048));
        assert_eq!(size("7"), Ok(7));
        for text in ["", "KiB", "65MiB", "1GiB", "-1", "18446744073709551615MiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
