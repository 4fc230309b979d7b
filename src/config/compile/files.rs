//! Files that the configuration names, wherever it names them. None is read here.

use std::path::PathBuf;

use super::Compiler;
use crate::config::report::Path;

impl Compiler<'_> {
    /// A path in the configuration; relative ones start at its directory.
    pub(super) fn file(&mut self, path: &Path, text: &str, what: &str) -> PathBuf {
        // What no file is called may be what belongs into one: a token, a key.
        let is_content = text.contains('\n') || text.split('/').any(|name| name.len() > 255);
        if text.is_empty() {
            self.report.wrong(path, "an empty string", format!("the path of {what}"));
        } else if is_content {
            self.report.wrong(path, "a text (not shown)", format!("the path of {what}"));
        }
        self.base_dir.join(text)
    }

    /// The same, of a member that need not be there.
    pub(super) fn file_at(
        &mut self,
        path: &Path,
        key: &str,
        text: Option<&str>,
        what: &str,
    ) -> Option<PathBuf> {
        Some(self.file(&path.key(key), text?, what))
    }

    /// What we are to a server that asks for certificates: one and its private key, both or neither.
    pub(super) fn client_identity(
        &mut self,
        path: &Path,
        cert_file: Option<&str>,
        key_file: Option<&str>,
    ) -> Option<(PathBuf, PathBuf)> {
        const CERT: &str = "client_cert_file";
        const KEY: &str = "client_key_file";
        let cert_file = self.file_at(path, CERT, cert_file, "a certificate in PEM");
        let key_file = self.file_at(path, KEY, key_file, "a private key in PEM");
        if cert_file.is_some() && key_file.is_none() {
            self.report.missing(&path.key(KEY), format!("the private key of {CERT}"));
        }
        if key_file.is_some() && cert_file.is_none() {
            self.report.missing(&path.key(CERT), format!("the certificate of {KEY}"));
        }
        cert_file.zip(key_file)
    }
}
