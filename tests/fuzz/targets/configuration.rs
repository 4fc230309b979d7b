//! Any text as a configuration: it is read or refused, with every mistake told in a few words, and nothing else happens.
//! No file and no environment is there to be read.

#![no_main]

use std::path::Path;

use claimgate::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(text) = std::str::from_utf8(text) else { return };
    match Config::from_yaml_in(text, Path::new("/nowhere"), &|_| None) {
        Ok(config) => {
            assert!(config.sources.iter().all(|source| {
                config.issuers.iter().any(|issuer| issuer.label == source.id.issuer)
            }));
        }
        Err(errors) => {
            let shown = errors.to_string();
            assert!(!shown.is_empty());
            assert!(!shown.contains('\u{1b}'), "an escape sequence of the input is shown");
        }
    }
});
