//! Where the links of a document lead that stay in the repository.

use std::collections::BTreeSet;

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
