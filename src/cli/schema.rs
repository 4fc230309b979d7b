//! `claimgate schema`: what a configuration may say, made from the types that read it. A JSON Schema for editors and for
//! whoever writes configurations by program, which is `deploy/claimgate.schema.json`; or a page for people, which is
//! `deploy/docs/configuration.md`.

use std::process::ExitCode;

use super::output::print;
use crate::config;

/// Print the JSON Schema of the configuration, or every key of it for people.
///
/// For an editor's help while writing one: save it, and begin the configuration with
/// "# yaml-language-server: $schema=claimgate.schema.json".
#[derive(Debug, clap::Args)]
pub struct Args {
    /// JSON Schema, or every key of this configuration and the reference issuer's as a page for people.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Json,
    Markdown,
}

/// 0, or 1 when the schema could not be written.
pub fn run(args: &Args) -> ExitCode {
    print("schema", &text(args.format))
}

fn text(format: Format) -> String {
    match format {
        Format::Json => format!("{:#}\n", config::json_schema()),
        Format::Markdown => config::markdown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_the_one_that_is_printed() {
        let published = include_str!("../../deploy/claimgate.schema.json");
        assert_eq!(published, text(Format::Json), "claimgate schema >deploy/claimgate.schema.json");
    }

    #[test]
    fn the_published_page_is_the_one_that_is_printed() {
        let published = include_str!("../../deploy/docs/configuration.md");
        let printed = text(Format::Markdown);
        assert!(
            published == printed,
            "claimgate schema --format markdown >deploy/docs/configuration.md"
        );
    }
}
