//! The YAML blocks of a document, and what is needed to make a configuration of a part of one.

/// What a block without issuers means by their names.
const ISSUERS: &str = "\
issuers:
  - {name: accounts, issuer: https://accounts.example.com, audiences: [orders], keys: [{discovery: true}]}
  - {name: partner, issuer: https://partner.example.com, audiences: [orders], keys: [{discovery: true}]}
";

/// What a block without rules is completed with; `NAME` is its first issuer.
const RULES: &str = "rules: [{name: rest, require: {issuer: NAME}}]\n";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With issuers and rules.
    Whole,
    /// To be completed.
    Part,
    /// Not for claimgate: its first line says so.
    Envoys,
    /// The reference issuer's: its first line says so.
    Issuers,
}

pub(crate) struct Block {
    /// Where it begins.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The first table that follows it, before the next block or section: its lines.
    pub(crate) table: Vec<String>,
}

impl Block {
    pub(crate) fn kind(&self) -> Kind {
        if self.text.starts_with("# Envoy") || self.text.starts_with("- name: envoy.") {
            Kind::Envoys
        } else if self.text.starts_with("# claimgate issuer") {
            Kind::Issuers
        } else if has_key(&self.text, "issuers") && has_key(&self.text, "rules") {
            Kind::Whole
        } else {
            Kind::Part
        }
    }

    /// The block with what it leaves unsaid.
    pub(crate) fn completed(&self) -> String {
        let mut text = self.text.clone();
        if !has_key(&text, "issuers") {
            text.push_str(ISSUERS);
        }
        if !has_key(&text, "rules") {
            let (_, issuers) = text.split_once("issuers:").unwrap();
            let (_, name) = issuers.split_once("name: ").expect("an issuer has a name");
            let name = name.split(['\n', ',']).next().unwrap().to_owned();
            text.push_str(&RULES.replace("NAME", &name));
        }
        text
    }
}

/// What a line stands behind.
#[derive(PartialEq, Eq)]
enum Behind {
    /// A block, with nothing but text between.
    Block,
    /// A row of the table that follows one.
    Row,
    Something,
}

pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut behind = Behind::Something;
    let mut lines = (1..).zip(document.lines());
    while let Some((line, text)) = lines.next() {
        if let Some(language) = text.trim_start().strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text: String = inside.map(|line| format!("{line}\n")).collect();
            behind = Behind::Something;
            if language == "yaml" {
                behind = Behind::Block;
                blocks.push(Block { line: line + 1, text, table: Vec::new() });
            }
        } else if text.starts_with('#') {
            behind = Behind::Something;
        } else if text.starts_with('|') && behind != Behind::Something {
            behind = Behind::Row;
            blocks.last_mut().unwrap().table.push(text.to_owned());
        } else if behind == Behind::Row {
            behind = Behind::Something;
        }
    }
    blocks
}

fn has_key(block: &str, key: &str) -> bool {
    block.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
}
