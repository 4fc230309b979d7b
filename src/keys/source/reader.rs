//! Reads one source, whatever its kind, and says what it read. When to read, and what an answer changes, is
//! [`super::super::refresher`]'s business; what a document holds is [`super::super::jwks`]'.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use super::discovery::DiscoveryReader;
use super::remote::{Fetched, HttpClient, Validators};
use super::{FILE_POLL, HmacFile, SourceError, SourceKind, SourceSettings};
use crate::keys::content::Content;
use crate::keys::hmac::{HmacKey, MAX_CONTENT_BYTES};
use crate::keys::jwks::Jwks;
use crate::util::clock::UnixTime;
use crate::util::file;
use crate::util::watch::Watch;

/// Reads one source. Making one does no I/O.
#[derive(Debug)]
pub struct SourceReader {
    settings: SourceSettings,
    way: Way,
    /// Of the file, where there is one.
    turn: file::Turn,
}

/// What reading one kind of source needs to remember.
#[derive(Debug)]
enum Way {
    Http(HttpClient),
    Discovery(HttpClient, Box<DiscoveryReader>),
    File(Watch),
    /// Nothing.
    Plain,
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

impl From<Fetched> for Answer {
    fn from(fetched: Fetched) -> Self {
        let Fetched { document, validators, cache_control } = fetched;
        match document {
            Some(content) => Self::Document { content, validators, cache_control },
            None => Self::NotModified { validators, cache_control },
        }
    }
}

impl SourceReader {
    /// A reader of the source that `settings` describe.
    pub fn new(settings: &SourceSettings) -> Self {
        let client = |home| HttpClient::with(settings.refresh.http.clone(), home);
        let way = match &settings.kind {
            SourceKind::Url(url) => Way::Http(client(url)),
            SourceKind::Discovery(discovery) => {
                let reader = DiscoveryReader::new(discovery.clone(), settings);
                Way::Discovery(client(discovery.home()), Box::new(reader))
            }
            SourceKind::File(path)
            | SourceKind::Pem { path, .. }
            | SourceKind::Hmac(HmacFile { path, .. }) => Way::File(Watch::new(path)),
            SourceKind::Command(_) | SourceKind::Environment { .. } | SourceKind::Inline(_) => {
                Way::Plain
            }
        };
        Self { settings: settings.clone(), way, turn: file::Turn::default() }
    }

    /// Reads once, within the configured deadline for each request. `known` are the validators of the document
    /// in force.
    ///
    /// # Errors
    /// Everything that is not a whole answer. Whether a document is usable is for [`Self::parse`] to say.
    pub async fn read(
        &mut self,
        known: Option<&Validators>,
        now: UnixTime,
    ) -> Result<Answer, SourceError> {
        let (settings, turn) = (&self.settings, &self.turn);
        let (max_bytes, timeout) = (settings.max_bytes, settings.refresh.timeout);
        match (&settings.kind, &mut self.way) {
            (SourceKind::Url(url), Way::Http(client)) => {
                client.fetch(url, known, max_bytes, timeout).await.map(Answer::from)
            }
            (_, Way::Discovery(client, reader)) => {
                Box::pin(reader.read(client, known, now)).await.map(Answer::from)
            }
            (SourceKind::File(path) | SourceKind::Pem { path, .. }, Way::File(watch)) => {
                // Before it is read: what happens to it meanwhile is a reason to read it again.
                let _late = time::timeout(timeout, watch.arm()).await.is_err();
                Ok(local(file::read(turn, path, max_bytes, timeout).await?))
            }
            (SourceKind::Hmac(HmacFile { path, must_be_private, .. }), Way::File(watch)) => {
                let _late = time::timeout(timeout, watch.arm()).await.is_err();
                let accepts_readable = !must_be_private;
                let read = file::secret(turn, path, MAX_CONTENT_BYTES, timeout, accepts_readable);
                // Wiped from here on by who parses it.
                Ok(local(std::mem::take(&mut *read.await?)))
            }
            (SourceKind::Command(command), _) => {
                Ok(local(Box::pin(command.run(max_bytes, timeout)).await?))
            }
            // What came with the configuration does not change.
            (_, Way::Plain | Way::Http(_) | Way::File(_)) => {
                let validators = Validators::default();
                Ok(Answer::NotModified { validators, cache_control: None })
            }
        }
    }

    /// What is in a document of this source.
    ///
    /// # Errors
    /// A document that cannot be used at all.
    pub fn parse(&mut self, content: &[u8]) -> Result<Content, SourceError> {
        let (accepted, max_keys) = (self.settings.algorithms, self.settings.max_keys);
        let parsed = match &self.settings.kind {
            SourceKind::Hmac(HmacFile { kid, .. }) => {
                let key = HmacKey::parse(kid.as_deref(), content)?;
                return Ok(Content::Hmac(Arc::new(key)));
            }
            SourceKind::Pem { kid, .. } => {
                Jwks::parse_pem(content, kid.as_deref(), accepted, max_keys)
            }
            SourceKind::File(_) | SourceKind::Command(_) => {
                Jwks::parse_local(content, accepted, max_keys)
            }
            SourceKind::Url(_)
            | SourceKind::Discovery(_)
            | SourceKind::Environment { .. }
            | SourceKind::Inline(_) => Jwks::parse(content, accepted, max_keys),
        };
        if parsed.is_err() {
            self.refused();
        }
        Ok(Content::Public(parsed?))
    }

    /// What was read cannot be used, as [`Self::parse`] found now or when it was read before.
    pub fn refused(&mut self) {
        if let Way::Discovery(_, reader) = &mut self.way {
            reader.led_astray();
        }
    }

    /// How often the source is looked at however fresh its last answer is; `None` where the answer's own
    /// freshness decides.
    pub fn poll_interval(&self) -> Option<Duration> {
        match &self.way {
            Way::File(_) => Some(FILE_POLL),
            Way::Http(_) | Way::Discovery(..) | Way::Plain => None,
        }
    }

    /// What is wrong although keys could be read: the discovery document, while its last `jwks_uri` is good.
    pub fn warning(&self) -> Option<&SourceError> {
        match &self.way {
            Way::Discovery(_, reader) => reader.warning(),
            Way::Http(_) | Way::File(_) | Way::Plain => None,
        }
    }

    /// Resolves when the source may have changed; never for a source that cannot tell. Cancel safe.
    pub async fn changed(&mut self) {
        match &mut self.way {
            Way::File(watch) => watch.changed().await,
            Way::Http(_) | Way::Discovery(..) | Way::Plain => future::pending().await,
        }
    }
}

/// A document of this machine comes without validators.
fn local(content: Vec<u8>) -> Answer {
    Answer::Document { content, validators: Validators::default(), cache_control: None }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::keys::key::AlgorithmSet;
    use crate::keys::source::RefreshSettings;
    use crate::keys::store::SourceId;
    use crate::util::label::Label;

    /// Nothing that is waited for takes this long unless it never comes.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_file_that_is_written_wakes_its_reader_and_reading_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let mut reader = SourceReader::new(&SourceSettings {
            id: SourceId { issuer: Label::new(0, "issuer"), source: Label::new(0, "0") },
            kind: SourceKind::File(path.clone()),
            refresh: RefreshSettings::default(),
            algorithms: AlgorithmSet::ALL,
            max_keys: 10,
            max_bytes: 1000,
        });
        let now = UnixTime::from_millis(0);
        assert!(reader.read(None, now).await.is_err(), "nothing there");
        for content in ["1", "2"] {
            fs::write(&path, content).unwrap();
            time::timeout(PATIENCE, reader.changed()).await.expect("it is told");
            match reader.read(None, now).await {
                Ok(Answer::Document { content: read, .. }) => assert_eq!(read, content.as_bytes()),
                other => panic!("{other:?}"),
            }
        }
        for _ in 0..3 {
            assert!(reader.read(None, now).await.is_ok());
        }
        assert!(time::timeout(Duration::from_millis(300), reader.changed()).await.is_err());
    }
}
