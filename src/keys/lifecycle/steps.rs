//! The steps as a caller takes them: lock, ask [`super::rules`], make a key where one is needed, write.
//!
//! `claimgate keys` calls these three. Time is an argument.

use std::path::Path;
use std::time::Duration;

use super::directory::{DirectoryError, Finding, KeyDirectory};
use super::manifest::{KeyState, Kid, ManagedKey, Manifest, Policy};
use super::plan::Change;
use super::rules::{self, Permit, Refusal, Step};
use crate::keys::signing::{KeyType, SigningError, SigningKey};
use crate::util::clock::UnixTime;
use crate::util::escape::escaped;

/// How a step is to be taken.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Of a key that is made; otherwise the active key's type, or else RSA with 4096 bits.
    pub key_type: Option<KeyType>,
    /// Of a key that is made; otherwise its thumbprint.
    pub kid: Option<Kid>,
    /// Remembered in the manifest; otherwise what is there.
    pub jwks_max_age: Option<Duration>,
    /// Remembered in the manifest; otherwise what is there.
    pub token_lifetime: Option<Duration>,
    /// Take the step although it strands tokens.
    pub force: bool,
    /// Change nothing, and say what would happen.
    pub dry_run: bool,
}

/// Which key entered which state.
pub type Entered = (Option<Kid>, KeyState);

/// A step that was taken, or with [`Options::dry_run`] would be.
#[derive(Debug)]
pub struct Taken {
    /// Who entered which state. With a dry run a key that is yet to be made has no name.
    pub changes: Vec<Entered>,
    /// What it breaks.
    pub breaks: Vec<String>,
    /// The manifest afterwards.
    pub manifest: Manifest,
    /// What was found on the way.
    pub findings: Vec<Finding>,
    /// Whether it makes a key: [`Options::kid`] and [`Options::key_type`] mean nothing to other steps.
    pub makes_key: bool,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The rules refuse it, for now or for good.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// No key has that name.
    #[error("no key is called {0}; `claimgate keys list` names them")]
    UnknownKid(String),
}

impl From<SigningError> for StepError {
    fn from(error: SigningError) -> Self {
        Self::Directory(error.into())
    }
}

/// Makes one more key: the very first one signs at once, any other becomes `next`.
///
/// # Errors
/// A directory that cannot be used; a next key that waits already.
pub fn generate(path: &Path, options: &Options, now: UnixTime) -> Result<Taken, StepError> {
    let directory = KeyDirectory::lock_or_create(path)?;
    let permit = rules::generate(directory.manifest())?;
    take(directory, permit, options, now)
}

/// Takes the one step of the safe order that comes next.
///
/// # Errors
/// A directory that cannot be used; a step that would strand tokens.
pub fn rotate(path: &Path, options: &Options, now: UnixTime) -> Result<Taken, StepError> {
    let directory = open(path, options)?;
    let asked = judged_by(directory.manifest(), options);
    let permit = rules::rotate(&asked, now, options.force)?;
    take(directory, permit, options, now)
}

/// Withdraws one key. Nothing happens to one that is retired.
///
/// # Errors
/// A directory that cannot be used; a kid that is not there; a key whose tokens are still valid.
pub fn retire(
    path: &Path,
    kid: &str,
    options: &Options,
    now: UnixTime,
) -> Result<Taken, StepError> {
    let directory = open(path, options)?;
    let asked = judged_by(directory.manifest(), options);
    let Some(key) = asked.find(kid) else {
        return Err(StepError::UnknownKid(escaped(kid, 200)));
    };
    match rules::retire(key, &asked, now, options.force)? {
        Some(permit) => take(directory, permit, options, now),
        None => {
            let manifest = directory.manifest().clone();
            let findings = directory.findings().to_vec();
            Ok(Taken { changes: vec![], breaks: vec![], manifest, findings, makes_key: false })
        }
    }
}

fn open(path: &Path, options: &Options) -> Result<KeyDirectory, DirectoryError> {
    if options.dry_run { KeyDirectory::read(path) } else { KeyDirectory::lock(path) }
}

fn with_policy(manifest: &Manifest, options: &Options) -> Manifest {
    let policy = Policy {
        jwks_max_age: options.jwks_max_age.unwrap_or(manifest.policy.jwks_max_age),
        token_lifetime: options.token_lifetime.unwrap_or(manifest.policy.token_lifetime),
    };
    Manifest { policy, ..manifest.clone() }
}

/// What a step is judged by: shorter times than those remembered count from the next step on. Documents and tokens
/// that are out there were made under the old ones, and asking for less must not do what needs force.
fn judged_by(manifest: &Manifest, options: &Options) -> Manifest {
    let (known, asked) = (manifest.policy, with_policy(manifest, options));
    let policy = Policy {
        jwks_max_age: known.jwks_max_age.max(asked.policy.jwks_max_age),
        token_lifetime: known.token_lifetime.max(asked.policy.token_lifetime),
    };
    Manifest { policy, ..asked }
}

fn take(
    mut directory: KeyDirectory,
    permit: Permit,
    options: &Options,
    now: UnixTime,
) -> Result<Taken, StepError> {
    let (change, changes) = prepare(&directory, &permit.step, options, now)?;
    let manifest = change.manifest.clone();
    if !options.dry_run {
        directory.commit(change)?;
    }
    let findings = directory.findings().to_vec();
    let makes_key = matches!(permit.step, Step::First | Step::Publish | Step::Replace);
    Ok(Taken { changes, breaks: permit.breaks, manifest, findings, makes_key })
}

/// What is to be written for a step, and who enters which state by it. Makes keys, writes nothing.
pub(super) fn prepare(
    directory: &KeyDirectory,
    step: &Step,
    options: &Options,
    now: UnixTime,
) -> Result<(Change, Vec<Entered>), StepError> {
    let mut manifest = with_policy(directory.manifest(), options);
    let (mut made, mut withdrawn) = (None, None);
    let changes = match step {
        Step::First | Step::Publish | Step::Replace => {
            if let Some(taken) = options.kid.as_ref().and_then(|kid| manifest.find(kid.as_str())) {
                return Err(Refusal::KidTaken(taken.kid().clone(), taken.state()).into());
            }
            let signs = *step != Step::Publish;
            let kid = if options.dry_run {
                options.kid.clone()
            } else {
                let (kid, key, entry) = make(&manifest, options, now)?;
                manifest.publish(entry);
                if signs {
                    manifest.activate(&kid, now);
                }
                made = Some((kid.clone(), key));
                Some(kid)
            };
            vec![(kid, if signs { KeyState::Active } else { KeyState::Next })]
        }
        Step::Activate(kid) => {
            // Not after: a key that cannot sign must not become the one that has to.
            if let Some(key) = manifest.find(kid.as_str()) {
                directory.private_key(key)?;
            }
            let old = manifest.active().map(|key| (Some(key.kid().clone()), KeyState::Retiring));
            manifest.activate(kid, now);
            [Some((Some(kid.clone()), KeyState::Active)), old].into_iter().flatten().collect()
        }
        Step::Retire(kid) => {
            manifest.retire(kid, now);
            withdrawn = Some(kid.clone());
            vec![(Some(kid.clone()), KeyState::Retired)]
        }
    };
    Ok((Change { manifest, made, withdrawn }, changes))
}

fn make(
    manifest: &Manifest,
    options: &Options,
    now: UnixTime,
) -> Result<(Kid, SigningKey, ManagedKey), StepError> {
    let newest = manifest.active().or_else(|| manifest.keys().last());
    let key_type = options.key_type.or_else(|| newest.map(ManagedKey::key_type));
    let key_type = key_type.unwrap_or(KeyType::Rsa4096);
    let mut key = SigningKey::generate_type(key_type)?;
    if let Some(kid) = &options.kid {
        key = key.with_kid(kid.as_str());
    }
    // A thumbprint is a safe file name: base64url.
    let kid = Kid::parse(key.kid())
        .ok_or_else(|| SigningError::PublicKey(key_type.algorithm().name()))?;
    let entry = ManagedKey::publish(kid.clone(), key_type, &key, now);
    Ok((kid, key, entry))
}
