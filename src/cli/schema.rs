//! `claimgate schema`: the JSON Schema of the configuration, for editors and for whoever writes configurations by
//! program. `deploy/claimgate.schema.json` is what this prints.

use std::process::ExitCode;

use super::output::print;
use crate::config;

/// 0, or 1 when the schema could not be written.
pub fn run() -> ExitCode {
    print("schema", &text())
}

fn text() -> String {
    format!("{:#}\n", config::json_schema())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_the_one_that_is_printed() {
        let published = include_str!("../../deploy/claimgate.schema.json");
        assert_eq!(published, text(), "claimgate schema >deploy/claimgate.schema.json");
    }
}
