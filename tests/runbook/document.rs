//! The runbook as a list of things to do.

use std::time::Duration;

pub(crate) const RUNBOOK: &str = include_str!("../../deploy/runbooks/keys.md");

pub(crate) struct Section {
    pub(crate) title: String,
    /// Each with its line.
    pub(crate) steps: Vec<(usize, Step)>,
}

#[derive(Debug)]
pub(crate) enum Step {
    Run(String),
    File { name: String, content: String },
    Service,
    Provider { up: bool },
    Later(Duration),
    Token { name: String, hs256: bool },
    Answer { token: String, status: i32, reason: String },
    Command { command: String, output: Vec<String>, until: bool },
}

impl Section {
    pub(crate) fn commands(&self) -> usize {
        let commands = self.steps.iter();
        commands.filter(|(_, step)| matches!(step, Step::Command { .. })).count()
    }
}

/// What stands under each `## `. Panics at whatever it does not understand, so that nothing is passed over.
pub(crate) fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = vec![];
    let mut lines = (1..).zip(RUNBOOK.lines());
    let (mut until, mut file) = (false, None);
    while let Some((number, line)) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title: title.to_owned(), steps: vec![] });
        }
        let Some(section) = sections.last_mut() else { continue };
        if let Some(comment) = line.strip_prefix("<!-- ") {
            let comment = comment.strip_suffix(" -->").expect("a comment of one line");
            match comment.split_once(": ").unwrap_or((comment, "")) {
                ("until", _) => until = true,
                ("file", name) => file = Some(name.to_owned()),
                (word, rest) => section.steps.push((number, step(word, rest))),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|(_, line)| *line != "```");
            let block: Vec<(usize, &str)> = block.collect();
            match language {
                "console" => section.steps.extend(commands(&block, std::mem::take(&mut until))),
                "yaml" => {
                    let name = file.take().expect("a file comment before every yaml block");
                    let content = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                    section.steps.push((number, Step::File { name, content }));
                }
                other => panic!("line {number}: a block of {other:?}"),
            }
        }
    }
    assert!(!until && file.is_none(), "a comment without its block");
    sections
}

fn step(word: &str, rest: &str) -> Step {
    let words: Vec<&str> = rest.split(' ').collect();
    match (word, words.as_slice()) {
        ("run", _) => Step::Run(rest.to_owned()),
        ("service", ["start"]) => Step::Service,
        ("provider", ["up"]) => Step::Provider { up: true },
        ("provider", ["down"]) => Step::Provider { up: false },
        ("later", [time]) => Step::Later(claimgate::config::duration(time).unwrap()),
        ("token", [name]) => Step::Token { name: (*name).to_owned(), hs256: false },
        ("token", [name, "hs256"]) => Step::Token { name: (*name).to_owned(), hs256: true },
        ("answer", [token, status, reason @ ..]) => Step::Answer {
            token: (*token).to_owned(),
            status: status.parse().unwrap(),
            reason: reason.join(" "),
        },
        _ => panic!("no such comment: {word}: {rest}"),
    }
}

fn commands(block: &[(usize, &str)], until: bool) -> Vec<(usize, Step)> {
    let mut steps: Vec<(usize, Step)> = vec![];
    for (number, line) in block {
        if let Some(command) = line.strip_prefix("$ ") {
            let command = command.to_owned();
            steps.push((*number, Step::Command { command, output: vec![], until }));
        } else {
            match steps.last_mut() {
                Some((_, Step::Command { output, .. })) => output.push((*line).to_owned()),
                _ => panic!("line {number}: output before a command"),
            }
        }
    }
    steps
}
