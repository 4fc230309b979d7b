//! `claimgate check FILE…`: every mistake in configurations, without starting anything. It reads no keys
//! but those that come with a configuration (`jwks`, `jwks_env`), unless `--online` asks for the others.

mod online;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::online::Sources;
use super::USAGE;
use super::output::{Output, complain};
use super::shown::counted;
use crate::config::{Config, ConfigError, ConfigErrors};

/// Arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration to check; or several, such as those of every service that is rolled out: each must be right.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Fail for what is valid but weak as well: HS256, the development profile, keys that never become too
    /// old, tokens that never expire, audiences that are not checked, a rule that opens everything, a rule in shadow,
    /// revoked tokens that may pass.
    #[arg(long)]
    strict: bool,
    /// Read every key source and the revocations once as well, as the service does at its start.
    #[arg(long)]
    online: bool,
    /// How to print the outcome: text has mistakes on standard error, one per line; json has one object per file, each on
    /// one line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// 0 for configurations that are right, 2 if one is not, or is weak where `--strict` was asked for; else 1 if one has a
/// source that gives no keys where `--online` was.
pub fn run(args: &Args) -> ExitCode {
    let mut worst = Verdict::Good;
    for file in &args.files {
        match check(file, args) {
            Ok(verdict) => worst = worst.max(verdict),
            Err(error) => {
                complain("check", &format_args!("no runtime: {error}"));
                return ExitCode::FAILURE;
            }
        }
    }
    match worst {
        Verdict::Good => ExitCode::SUCCESS,
        Verdict::NoKeys => ExitCode::FAILURE,
        Verdict::Wrong => ExitCode::from(USAGE),
    }
}

/// What came of a file, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    NoKeys,
    Wrong,
}

fn check(file: &Path, args: &Args) -> io::Result<Verdict> {
    let outcome = Config::from_file(file);
    let config = outcome.as_ref().ok().filter(|_| args.strict);
    let weaknesses = config.map(Config::weaknesses);
    let config = outcome.as_ref().ok().filter(|_| args.online);
    let sources = config.map(|config| Sources::read(config.clone())).transpose()?;
    let name = file.display().to_string();
    // Of one file it is clear which is meant.
    let told = if args.files.len() == 1 { String::new() } else { format!("{name}: ") };
    print(&name, &told, &outcome, weaknesses.as_deref(), sources.as_ref(), args.output);
    let is_strong = weaknesses.is_none_or(|weaknesses| weaknesses.is_empty());
    if outcome.is_err() || !is_strong {
        return Ok(Verdict::Wrong);
    }
    let are_good = sources.is_none_or(|sources| sources.are_all_good());
    Ok(if are_good { Verdict::Good } else { Verdict::NoKeys })
}

/// `weaknesses` and `sources` are `None` when nobody asked for them; `told` is before each mistake.
fn print(
    file: &str,
    told: &str,
    outcome: &Result<Config, ConfigErrors>,
    weaknesses: Option<&[ConfigError]>,
    sources: Option<&Sources>,
    output: Output,
) {
    let written = match (outcome, weaknesses.unwrap_or_default(), output) {
        (Ok(config), [], Output::Text) => writeln!(io::stdout(), "{file}: {}", summary(config)),
        (Ok(_), weak, Output::Text) => {
            weak.iter().try_for_each(|one| writeln!(io::stderr(), "{told}{one}"))
        }
        (Err(errors), _, Output::Text) => {
            let mut lines = errors.errors().iter();
            lines.try_for_each(|one| writeln!(io::stderr(), "{told}{one}"))
        }
        (outcome, _, Output::Json) => {
            let mut json = json(outcome, weaknesses);
            json["file"] = file.into();
            if let (Some(sources), Some(members)) = (sources, json.as_object_mut()) {
                members.insert("sources".to_owned(), sources.json());
                if let Some(revocations) = sources.revocations_json() {
                    members.insert("revocations".to_owned(), revocations);
                }
            }
            writeln!(io::stdout(), "{}", online::line(&json))
        }
    };
    let written = written.and_then(|()| match (sources, output) {
        (Some(sources), Output::Text) => writeln!(io::stdout(), "{}", sources.text()),
        (Some(_) | None, _) => Ok(()),
    });
    // A reader that went away, or a full disk: the exit code still answers.
    let _gone = written.is_err();
}

fn summary(config: &Config) -> String {
    let (issuers, sources) = (config.issuers.len(), config.sources.len());
    let (profile, rules) = (config.profile.as_str(), config.rules.rules().len());
    let issuers = counted(issuers, "issuer");
    let sources = counted(sources, "key source");
    format!("valid: profile {profile}, {issuers}, {sources}, {}", counted(rules, "rule"))
}

/// `weaknesses` is a member only where somebody asked for them.
fn json(
    outcome: &Result<Config, ConfigErrors>,
    weaknesses: Option<&[ConfigError]>,
) -> serde_json::Value {
    let mut json = match outcome {
        Ok(config) => serde_json::json!({
            "valid": true,
            "profile": config.profile.as_str(),
            "issuers": config.issuers.len(),
            "key_sources": config.sources.len(),
            "rules": config.rules.rules().len(),
            "mistakes": [],
        }),
        Err(errors) => serde_json::json!({"valid": false, "mistakes": listed(errors.errors())}),
    };
    if let (Some(weaknesses), Some(members)) = (weaknesses, json.as_object_mut()) {
        members.insert("weaknesses".to_owned(), listed(weaknesses));
    }
    json
}

fn listed(errors: &[ConfigError]) -> serde_json::Value {
    let place_and_message =
        |error: &ConfigError| serde_json::json!({"place": error.place, "message": error.message});
    errors.iter().map(place_and_message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_configuration_is_summed_up_in_one_line() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/claimgate.example.yaml");
        let config = Config::from_file(file.as_ref()).unwrap();
        assert_eq!(
            summary(&config),
            "valid: profile production, 3 issuers, 9 key sources, 6 rules"
        );
        assert_eq!(json(&Ok(config), None)["rules"], 6);
    }

    #[test]
    fn mistakes_are_told_to_programs_one_by_one() {
        let errors = Config::from_yaml("rules: 7\nx: 1", "".as_ref()).unwrap_err();
        let json = json(&Err(errors), None);
        assert_eq!(json["valid"], false);
        assert_eq!(json["mistakes"][0]["place"], "rules");
        assert_eq!(json["mistakes"][1]["place"], "x");
    }

    #[test]
    fn weak_settings_are_told_to_programs_that_ask_for_them() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/claimgate.example.yaml");
        let config = Ok(Config::from_file(file.as_ref()).unwrap());
        let weak = ConfigError { place: "profile".to_owned(), message: "weak".to_owned() };
        let told = json(&config, Some(&[weak]));
        assert_eq!(told["valid"], true);
        assert_eq!(
            told["weaknesses"],
            serde_json::json!([{"place": "profile", "message": "weak"}])
        );
        assert_eq!(json(&config, Some(&[]))["weaknesses"], serde_json::json!([]));
        assert!(json(&config, None).get("weaknesses").is_none());
    }
}
