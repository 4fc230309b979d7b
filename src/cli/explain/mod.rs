//! `claimgate explain`: decides on one request as the service would, and says what was looked at on the way. The verdict
//! is that of `check::Authorizer::check`; the steps are those of the same walk, watched. Nothing is judged here.

mod request;
mod steps;
mod verdict;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use self::request::{Asked, RequestError};
use self::verdict::Report;
use super::output::{Output, answer, complain};
use super::token_text::{TokenError, TokenText};
use super::{USAGE, at};
use crate::app::inquiry::{self, Keys};
use crate::check::{Decision, Denial, DenialReason};
use crate::config::{Config, ConfigErrors};
use crate::util::clock::{Clock as _, SystemClock, UnixTime};
use crate::util::label::Label;

/// Arguments of `explain`.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(long, short, value_name = "FILE", env = "CLAIMGATE_CONFIG")]
    config: PathBuf,
    /// A token, put where the rule looks first: the text, `-` to read it from standard input, or @FILE.
    #[arg(long, value_name = "TOKEN|-|@FILE")]
    token: Option<TokenText>,
    /// The request's method.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// The request's host, maybe with a port.
    #[arg(long, value_name = "HOST", default_value = "")]
    host: String,
    /// The request's path, with its query if it has one.
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
    /// A header of the request; may be repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// What Envoy's context_extensions say of the route, such as claimgate.rule=admin; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// A CheckRequest of Envoy as JSON, in place of the request's parts; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "host", "path", "header", "context"])]
    request: Option<PathBuf>,
    /// Decide as of this time: 2026-01-31T12:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = at::time)]
    at: Option<UnixTime>,
    /// A JWK Set in place of an issuer's key sources.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Whose keys those are, where there are several issuers.
    #[arg(long, value_name = "NAME", requires = "jwks")]
    issuer: Option<String>,
    /// Read the keys from every source, as the service does at its start. Without it, no source is asked.
    #[arg(long, conflicts_with = "jwks")]
    online: bool,
    /// How to print the outcome; json is one object on one line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// Headers and tokens are secrets.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args").field("config", &self.config).finish_non_exhaustive()
    }
}

/// 0 when the request is allowed, 1 when it is denied, 2 when the command line, the configuration or the request cannot
/// be read.
pub fn run(args: &Args) -> ExitCode {
    match explained(args) {
        Ok(report) => {
            let text = match args.output {
                Output::Text => report.text(),
                Output::Json => report.json(),
            };
            answer(&text);
            if report.is_allowed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain("explain", &error);
            ExitCode::from(USAGE)
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("mistakes in {}\n{errors}", file.display())]
    Config { file: PathBuf, errors: ConfigErrors },
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("--token and --request cannot both be read from standard input")]
    OneStdin,
    #[error("--issuer: expected one of {0}")]
    Issuer(String),
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("the steps do not lead to the decision: this is a bug in claimgate")]
    Differs,
}

fn explained(args: &Args) -> Result<Report, ExplainError> {
    let errors = |errors| ExplainError::Config { file: args.config.clone(), errors };
    let config = Config::from_file(&args.config).map_err(errors)?;
    let keys = keys(args, &config)?;
    let reads_stdin = args.request.as_ref().is_some_and(|file| file.as_os_str() == "-");
    if reads_stdin && args.token.as_ref().is_some_and(TokenText::is_stdin) {
        return Err(ExplainError::OneStdin);
    }
    let mut asked = match &args.request {
        Some(file) => Asked::recorded(file)?,
        None => Asked::of_parts(args)?,
    };
    if let (Some(token), Some(request)) = (&args.token, &mut asked.request) {
        asked.token_place = Some(request::put_token(request, &token.read()?, &config));
    }
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ExplainError::Runtime)?;
    let payload_header =
        config.forward.settings().payload.as_ref().map(|one| one.header.to_string());
    let generation = runtime.block_on(Box::pin(inquiry::ask(config, keys, now)));
    // Names that are still being resolved, a file system that does not answer: their deadlines are over.
    runtime.shutdown_background();
    let (decision, steps) = match &asked.request {
        // As an adapter answers what holds no HTTP request.
        None => {
            let denial = Denial::before_any_rule(DenialReason::Malformed);
            (Decision::Deny(denial), Vec::new())
        }
        Some(request) => {
            let decision = generation.authorizer.check(request, now);
            let (explained, steps) = generation.authorizer.explain(request, now);
            if explained != decision {
                return Err(ExplainError::Differs);
            }
            (decision, steps)
        }
    };
    let is_online = args.online;
    Ok(Report::new(&generation, asked, decision, &steps, now, is_online, payload_header))
}

fn keys(args: &Args, config: &Config) -> Result<Keys, ExplainError> {
    let Some(path) = args.jwks.clone() else {
        return Ok(if args.online { Keys::Online } else { Keys::Offline });
    };
    let mut labels = config.issuers.iter().map(|issuer| &issuer.label);
    let named: Option<&Label> = match &args.issuer {
        Some(name) => labels.find(|label| label.name() == name),
        None if config.issuers.len() == 1 => labels.next(),
        None => None,
    };
    let names = || config.issuers.iter().map(|one| one.label.name()).collect::<Vec<_>>().join(", ");
    let issuer = named.cloned().ok_or_else(|| ExplainError::Issuer(names()))?;
    Ok(Keys::File { issuer, path })
}
