//! Reads one source, whatever its kind, and says what it read. When to read, and what an answer changes, is
//! [`super::super::refresher`]'s business; what a document holds is [`super::super::jwks`]'.

use std::future;
use std::time::Duration;

use super::remote::{HttpClient, Validators};
use super::{SourceError, SourceKind, SourceSettings, file};
use crate::keys::jwks::{DocumentError, Jwks};

/// Reads one source. Making one does no I/O.
#[derive(Debug)]
pub struct SourceReader {
    settings: SourceSettings,
    client: HttpClient,
}

/// What a good answer said.
#[derive(Debug)]
pub enum Answer {
    /// Something to parse.
    Document {
        /// The bytes, at most [`SourceSettings::max_bytes`].
        content: Vec<u8>,
        /// What to ask with next time.
        validators: Validators,
        /// The `Cache-Control` field, for sources that have one.
        cache_control: Option<String>,
    },
    /// A 304: what we have is still right.
    NotModified {
        /// What to ask with next time, where the answer says so.
        validators: Validators,
        /// The `Cache-Control` field.
        cache_control: Option<String>,
    },
}

impl SourceReader {
    /// A reader of the source that `settings` describe.
    pub fn new(settings: &SourceSettings) -> Self {
        Self { settings: settings.clone(), client: HttpClient::new() }
    }

    /// Reads once, within the configured deadline. `known` are the validators of the document in force.
    ///
    /// # Errors
    /// Everything that is not a whole answer. Whether a document is usable is for [`Self::parse`] to say.
    pub async fn read(&mut self, known: Option<&Validators>) -> Result<Answer, SourceError> {
        let settings = &self.settings;
        let (max_bytes, timeout) = (settings.max_bytes, settings.refresh.timeout);
        match &settings.kind {
            SourceKind::Url(url) => {
                let fetched = self.client.fetch(url, known, max_bytes, timeout).await?;
                let (validators, cache_control) = (fetched.validators, fetched.cache_control);
                Ok(match fetched.document {
                    Some(content) => Answer::Document { content, validators, cache_control },
                    None => Answer::NotModified { validators, cache_control },
                })
            }
            SourceKind::File(path) => {
                let content = file::read(path, max_bytes, timeout).await?;
                let validators = Validators::default();
                Ok(Answer::Document { content, validators, cache_control: None })
            }
            SourceKind::Inline(_) => {
                let validators = Validators::default();
                Ok(Answer::NotModified { validators, cache_control: None })
            }
        }
    }

    /// The keys in a document of this source.
    ///
    /// # Errors
    /// A document that cannot be used at all.
    pub fn parse(&self, content: &[u8]) -> Result<Jwks, DocumentError> {
        Jwks::parse(content, self.settings.algorithms, self.settings.max_keys)
    }

    /// How often the source is looked at however fresh its last answer is; `None` where the answer's own
    /// freshness decides.
    pub fn poll_interval(&self) -> Option<Duration> {
        match &self.settings.kind {
            SourceKind::File(_) => Some(file::POLL),
            SourceKind::Url(_) | SourceKind::Inline(_) => None,
        }
    }

    /// Resolves when the source may have changed; never for a source that cannot tell. Cancel safe.
    pub async fn changed(&mut self) {
        future::pending().await
    }
}
