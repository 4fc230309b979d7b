//! A page of deploy/docs, or README.md, as a list of things to do, one after the other:
//!
//! | in the page | means |
//! | --- | --- |
//! | a `console` block | each line `$ …` is typed; the lines beneath it are what it prints |
//! | `<!-- file: NAME -->` | the next `yaml` block is written to NAME |
//! | `<!-- run: COMMAND -->` | the reader has done that before |
//! | `<!-- after: PAGE -->` | everything of that page comes first, in the same shell |
//! | `<!-- not run: WHY -->` | the next `console` block is only read |
//! | `<!-- stage: NAME -->`, `<!-- stage that goes on: NAME -->` | the same; tests/stranger types it, into a fresh clone |
//! | `<!-- begin: WHAT -->`, `<!-- end: WHAT -->` | nothing to do: what is between them is written by a program |

pub(crate) enum Step {
    /// Comes before, from another page.
    After(String),
    File {
        name: String,
        content: String,
    },
    Run(String),
    Command {
        command: String,
        output: Vec<String>,
    },
}

pub(crate) struct Steps {
    /// Each with its line.
    pub(crate) steps: Vec<(usize, Step)>,
    /// Commands in blocks that are only read.
    pub(crate) only_read: usize,
}

/// Panics at a comment that it does not know, and at one whose block does not follow.
pub(crate) fn steps(page: &str) -> Steps {
    let mut found = Steps { steps: Vec::new(), only_read: 0 };
    let (mut file, mut is_read) = (None, false);
    let mut lines = (1..).zip(page.lines());
    while let Some((number, line)) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ") {
            let comment = comment.strip_suffix(" -->").expect("a comment of one line");
            let (word, rest) = comment.split_once(": ").expect(comment);
            match word {
                "after" => found.steps.push((number, Step::After(rest.to_owned()))),
                "file" => file = Some(rest.to_owned()),
                "run" => found.steps.push((number, Step::Run(rest.to_owned()))),
                "not run" | "stage" | "stage that goes on" => is_read = true,
                "begin" | "end" => {}
                _ => panic!("line {number}: no such comment: {comment}"),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|(_, line)| *line != "```");
            let block: Vec<(usize, &str)> = block.collect();
            if language == "console" {
                let commands = commands(&block);
                if std::mem::take(&mut is_read) {
                    found.only_read += commands.len();
                } else {
                    found.steps.extend(commands);
                }
            } else if let Some(name) = file.take() {
                assert_eq!(language, "yaml", "line {number}");
                let content = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                found.steps.push((number, Step::File { name, content }));
            }
        }
    }
    assert!(!is_read && file.is_none(), "a comment without its block");
    found
}

fn commands(block: &[(usize, &str)]) -> Vec<(usize, Step)> {
    let mut steps: Vec<(usize, Step)> = Vec::new();
    for (number, line) in block {
        if let Some(command) = line.strip_prefix("$ ") {
            let step = Step::Command { command: command.to_owned(), output: Vec::new() };
            steps.push((*number, step));
        } else {
            match steps.last_mut() {
                Some((_, Step::Command { output, .. })) => output.push((*line).to_owned()),
                _ => panic!("line {number}: output before a command"),
            }
        }
    }
    steps
}
