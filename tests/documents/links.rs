//! Where the links of a document lead that stay in the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::ROOT;

/// Every document for people, by its path in the repository.
pub(crate) fn documents() -> Vec<String> {
    let folders = ["", "deploy", "deploy/runbooks", "helm/claimgate"];
    let files = folders.into_iter().flat_map(|folder| {
        let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
        entries.map(move |entry| Path::new(folder).join(entry.unwrap().file_name()))
    });
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.map(|file| file.to_str().unwrap().to_owned()).collect()
}

pub(crate) fn links(document: &str) -> Vec<&str> {
    let ends = document.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    ends.filter(|target| !target.contains("://")).collect()
}

/// The anchors of the headings: in lower case, without punctuation, spaces as hyphens.
pub(crate) fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let titles = headings.filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let anchor = |title: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    titles.map(anchor).collect()
}
