//! Where the links of a document lead that stay in the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::ROOT;

/// Every document for people that is part of the repository, by its path in it, in order.
pub(crate) fn documents() -> Vec<String> {
    let (mut folders, mut found) = (vec![String::new()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            // What is made (target) and what is fetched (.tools, node_modules) is others'.
            let is_ours = !name.starts_with('.') && name != "target" && name != "node_modules";
            if entry.file_type().unwrap().is_dir() && is_ours {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Outside of blocks: where each link leads that stays in the repository.
pub(crate) fn links(document: &str) -> Vec<&str> {
    let ends = prose(document)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| Some(rest.split_once(')')?.0));
    ends.filter(|target| !target.contains("://")).collect()
}

/// The anchors of the headings: in lower case, without punctuation, spaces as hyphens; the second of a name with `-1`.
pub(crate) fn anchors(document: &str) -> BTreeSet<String> {
    let titles = prose(document)
        .filter(|line| line.starts_with('#'))
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let mut anchors = BTreeSet::new();
    for title in titles {
        let name = title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        let others = (1..).map(|nth| format!("{name}-{nth}"));
        let free = std::iter::once(name.clone()).chain(others).find(|it| !anchors.contains(it));
        anchors.extend(free);
    }
    anchors
}

/// The lines that are in no block.
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut is_block = false;
    document.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    })
}
