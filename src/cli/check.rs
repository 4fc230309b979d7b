//! `claimgate check FILE`: every mistake in a configuration, without starting anything. It reads no keys
//! but inline ones.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::USAGE;
use crate::config::{Config, ConfigErrors};

/// Arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration to check.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How to print the outcome.
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

/// How to print the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people: what was read on stdout, or one mistake a line on stderr.
    Text,
    /// For programs: one JSON object on stdout.
    Json,
}

/// 0 for a configuration that is right, 2 for one that is not.
pub fn run(args: &Args) -> ExitCode {
    let outcome = Config::from_file(&args.file);
    print(&args.file.display().to_string(), &outcome, args.output);
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
}

fn print(file: &str, outcome: &Result<Config, ConfigErrors>, output: Output) {
    let written = match (outcome, output) {
        (Ok(config), Output::Text) => writeln!(io::stdout(), "{file}: {}", summary(config)),
        (Err(errors), Output::Text) => writeln!(io::stderr(), "{errors}"),
        (outcome, Output::Json) => writeln!(io::stdout(), "{}", json(outcome)),
    };
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

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn json(outcome: &Result<Config, ConfigErrors>) -> serde_json::Value {
    match outcome {
        Ok(config) => serde_json::json!({
            "valid": true,
            "profile": config.profile.as_str(),
            "issuers": config.issuers.len(),
            "key_sources": config.sources.len(),
            "rules": config.rules.rules().len(),
            "mistakes": [],
        }),
        Err(errors) => {
            let mistakes = errors.errors().iter();
            let mistakes: Vec<_> = mistakes
                .map(|error| serde_json::json!({"place": error.place, "message": error.message}))
                .collect();
            serde_json::json!({"valid": false, "mistakes": mistakes})
        }
    }
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
            "valid: profile production, 2 issuers, 8 key sources, 3 rules"
        );
        assert_eq!(json(&Ok(config))["rules"], 3);
    }

    #[test]
    fn mistakes_are_told_to_programs_one_by_one() {
        let errors = Config::from_yaml("rules: 7\nx: 1", "".as_ref()).unwrap_err();
        let json = json(&Err(errors));
        assert_eq!(json["valid"], false);
        assert_eq!(json["mistakes"][0]["place"], "rules");
        assert_eq!(json["mistakes"][1]["place"], "x");
    }
}
