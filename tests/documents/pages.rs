//! The task pages (deploy/docs): done as they say, command by command, and all of them in the index.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use tempfile::TempDir;

use crate::blocks::{Kind, blocks};
use crate::output::matches;
use crate::shell::Shell;
use crate::steps::{Step, steps};
use crate::{ROOT, links, read, report};

pub(crate) const FOLDER: &str = "deploy/docs";

const INDEX: &str = "README.md";

/// Every page, by its path in the repository.
pub(crate) fn pages() -> Vec<String> {
    let of_folder = |path: &String| path.starts_with(FOLDER);
    let pages: Vec<String> = links::documents().into_iter().filter(of_folder).collect();
    assert!(pages.len() > 9, "{pages:?}");
    pages
}

#[test]
fn every_command_of_the_task_pages_does_what_stands_there() {
    let pages = pages();
    let commands: usize = thread::scope(|scope| {
        #[expect(clippy::needless_collect, reason = "all begin before the first is waited for")]
        let running: Vec<_> = (1_u8..)
            .zip(&pages)
            .map(|(nth, page)| scope.spawn(move || World::new(nth).follow(page)))
            .collect();
        running.into_iter().map(|page| page.join().unwrap()).sum()
    });
    let texts = pages.iter().map(|page| read(page));
    let (mut configurations, mut only_read) = (0, 0);
    for text in texts {
        configurations += blocks(&text).iter().filter(|it| it.kind() != Kind::Envoys).count();
        only_read += steps(&text).only_read;
    }
    assert!(commands > 25, "{commands}");
    report(&format!(
        "pages: {}, configurations: {configurations}, commands: {commands}; {only_read} commands are only shown",
        pages.len()
    ));
}

/// A reader's directory and shell. The ports that pages name are free ones here, at an address of this page alone.
struct World {
    // Ended before the directory goes.
    shell: Shell,
    folder: TempDir,
    ports: Vec<(String, String)>,
}

impl World {
    fn new(nth: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = format!("127.0.48.{nth}");
        // All are held until all are known, so that no two are one.
        let free: Vec<(u16, TcpListener)> = (9191..=9195)
            .map(|port| (port, TcpListener::bind((host.as_str(), 0)).unwrap()))
            .collect();
        let ports = free.iter().map(|(port, listener)| {
            (format!("127.0.0.1:{port}"), listener.local_addr().unwrap().to_string())
        });
        Self { shell: Shell::new(folder.path()), ports: ports.collect(), folder }
    }

    /// Returns how many commands the page has; those of a page before it are not counted.
    fn follow(&mut self, page: &str) -> usize {
        let mut commands = 0;
        for (line, step) in steps(&read(page)).steps {
            let place = format!("{page}:{line}");
            match step {
                Step::After(other) => drop(self.follow(&format!("{FOLDER}/{other}"))),
                Step::File { name, content } => {
                    fs::write(self.folder.path().join(name), self.here(&content)).unwrap();
                }
                Step::Run(command) => drop(self.shell.types(&self.here(&command))),
                Step::Command { command, output } => {
                    commands += 1;
                    let shown: Vec<String> = output.iter().map(|line| self.here(line)).collect();
                    let printed = self.shell.types(&self.here(&command));
                    let lines: Vec<&str> = printed.iter().map(String::as_str).collect();
                    let is_as_shown = matches(&shown, &lines);
                    assert!(is_as_shown, "{place}: {command}\n{}", printed.join("\n"));
                }
            }
        }
        crate::kept::folder(self.folder.path());
        commands
    }

    fn here(&self, text: &str) -> String {
        let ports = self.ports.iter();
        ports.fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }
}

#[test]
fn the_index_leads_to_every_page_and_to_every_document_beside_them() {
    let index = format!("{FOLDER}/{INDEX}");
    let text = read(&index);
    let linked: Vec<&str> =
        links::links(&text).into_iter().map(|target| target.split('#').next().unwrap()).collect();
    let documents = links::documents().into_iter();
    for document in documents.filter(|path| path.starts_with("deploy/") && *path != index) {
        let target = match Path::new(&document).strip_prefix(FOLDER) {
            Ok(page) => page.to_str().unwrap().to_owned(),
            Err(_) => document.replacen("deploy/", "../", 1),
        };
        assert!(linked.contains(&target.as_str()), "{index} does not lead to {document}");
        assert!(Path::new(ROOT).join(&document).exists());
    }
}
