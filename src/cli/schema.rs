//! `claimgate schema`: the JSON Schema of the configuration, for editors and for whoever writes configurations by
//! program. `deploy/claimgate.schema.json` is what this prints.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config;

/// 0, or 1 when the schema could not be written.
pub fn run() -> ExitCode {
    match io::stdout().write_all(text().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
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
