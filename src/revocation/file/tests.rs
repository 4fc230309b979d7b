//! The watched file: the contract, and what is no list.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::revocation::testing::{StoreUnderTest, keeps_the_contract, token};

use super::super::source::SourceSettings;

const END: &str = "{\"v\":1,\"kind\":\"end\"}\n";

struct FileUnderTest {
    directory: TempDir,
    entries: Vec<RevocationEntry>,
}

impl FileUnderTest {
    fn new() -> Self {
        let under_test = Self { directory: tempfile::tempdir().unwrap(), entries: Vec::new() };
        under_test.write(under_test.content());
        under_test
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("revoked.jsonl")
    }

    fn content(&self) -> String {
        let lines = self.entries.iter().map(|entry| entry.to_json() + "\n");
        format!("# Written by a test.\n\n{}{END}", lines.collect::<String>())
    }

    /// As whoever writes such a file has to.
    fn write(&self, content: impl AsRef<[u8]>) {
        let new = self.directory.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path()).unwrap();
    }
}

impl StoreUnderTest for FileUnderTest {
    fn source(&self) -> SourceSettings {
        SourceSettings::File(FileSettings { path: self.path() })
    }

    async fn put(&mut self, entry: &RevocationEntry) {
        self.entries.push(entry.clone());
        self.write(self.content());
    }

    async fn take_away(&mut self, entry: &RevocationEntry) -> bool {
        self.entries.retain(|other| other.revoked() != entry.revoked());
        self.write(self.content());
        true
    }

    async fn break_it(&mut self, nth: usize) -> bool {
        let whole = self.content();
        let cut = whole.len() - END.len();
        match nth {
            0 => fs::remove_file(self.path()).unwrap(),
            1 => self.write(""),
            2 => self.write(whole.get(..cut).unwrap()),
            3 => self.write(whole.get(..cut - 20).unwrap()),
            4 => self.write("{\"v\":1}\n".to_owned() + &whole),
            _ => return false,
        }
        true
    }

    async fn repair(&mut self) {
        self.write(self.content());
    }
}

#[tokio::test]
async fn the_file_keeps_the_contract_of_sources() {
    keeps_the_contract(FileUnderTest::new()).await;
}

fn read_text(content: impl AsRef<[u8]>) -> Result<usize, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, content).unwrap();
    read_entries(&path).map(|entries| entries.len()).map_err(|error| error.to_string())
}

#[test]
fn an_empty_list_says_that_it_is_one() {
    assert_eq!(read_text(END), Ok(0));
    assert_eq!(read_text("\n# nothing\n{ \"kind\": \"end\", \"v\": 1 }"), Ok(0));
    for cut in ["", "\n", "# nothing\n", "{\"v\":1,\"kind\":\"end\"", "{\"v\":2,\"kind\":\"end\"}"]
    {
        assert!(read_text(cut).is_err(), "{cut:?}");
    }
}

#[test]
fn a_list_that_is_cut_off_anywhere_is_none() {
    let whole = format!("{}\n{}\n{END}", token("one").to_json(), token("two").to_json());
    assert_eq!(read_text(&whole), Ok(2));
    // The last byte is the last line's break, which says nothing.
    for length in 0..whole.len() - 1 {
        assert!(
            read_text(whole.get(..length).unwrap()).is_err(),
            "{length} of {} bytes",
            whole.len()
        );
    }
}

#[test]
fn a_mistake_is_named_by_its_line() {
    let good = token("one").to_json();
    let cases = [
        (format!("{good}\n{{}}\n{END}"), "line 2: `v` is missing"),
        (format!("{good}\n\n#\nnonsense\n{END}"), "line 4: not one JSON object: line 1 column 2"),
        (
            format!("{END}{good}\n"),
            "line 2: something follows the line that says that these are all",
        ),
        (format!("{END}{END}"), "line 2: something follows the line that says that these are all"),
        (format!("{good}\n"), "the last line, {\"v\":1,\"kind\":\"end\"}, is missing"),
        ("x".repeat(100_000), "line 1: longer than 16384 bytes"),
        (format!("{good}\0\n{END}"), "line 1: not one JSON object"),
    ];
    for (content, expected) in cases {
        let error = read_text(&content).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(read_text(format!("{good}\r\n{END}")), Ok(1), "line breaks of another system");
}

#[test]
fn what_is_no_file_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    assert!(read_entries(directory.path()).unwrap_err().to_string().contains("a directory"));
    assert!(read_entries(&directory.path().join("none")).is_err());
}
