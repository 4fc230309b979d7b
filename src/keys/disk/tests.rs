//! What a kept record survives, and everything that it is refused for.

use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::atomic::AtomicUsize;

use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const BODY: &[u8] = br#"{"keys":[{"kty":"OKP","kid":"caf\u00e9"}]}"#;

fn identity() -> SourceIdentity {
    SourceIdentity::new("accounts", "jwks_url", "https://id.example/jwks?api_key=hunter2")
}

fn record() -> Record {
    Record {
        body: BODY.to_vec(),
        fetched_at: NOW,
        etag: Some("W/\"v1\"".to_owned()),
        last_modified: None,
        freshness: Duration::from_millis(300_001),
    }
}

/// An empty state directory and the place of one source in it.
fn place() -> (TempDir, LastKnownGood) {
    let state_dir = tempfile::tempdir().unwrap();
    let place = LastKnownGood::new(&StateDir::new(state_dir.path()), &identity());
    (state_dir, place)
}

/// The same with a record in it.
async fn saved() -> (TempDir, LastKnownGood) {
    let (state_dir, place) = place();
    place.save(&record()).await.unwrap();
    (state_dir, place)
}

async fn load(place: &LastKnownGood) -> Result<Option<Record>, DiskError> {
    place.load(NOW, Some(DAY), BODY.len()).await
}

/// Why a load refuses what is there.
async fn refusal(place: &LastKnownGood) -> Refusal {
    let error = load(place).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", place.path().display())), "{error}");
    match error {
        DiskError::Refused { refusal, .. } => refusal,
        error @ (DiskError::Read { .. } | DiskError::Write { .. }) => panic!("{error}"),
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn files(directory: &Path) -> usize {
    directory.read_dir().unwrap().count()
}

#[tokio::test]
async fn what_was_saved_comes_back_after_a_restart() {
    let (state_dir, place) = place();
    assert!(load(&place).await.unwrap().is_none());
    let any_bytes: Vec<u8> = (0..=255).collect();
    for record in [
        record(),
        Record {
            body: any_bytes, etag: None, last_modified: Some("\u{7f}\"é".into()), ..record()
        },
        Record { body: vec![], fetched_at: UnixTime::from_millis(-1), ..record() },
    ] {
        place.save(&record).await.unwrap();
        let restarted = LastKnownGood::new(&StateDir::new(state_dir.path()), &identity());
        assert_eq!(restarted.load(NOW, None, 256).await.unwrap(), Some(record));
    }
    assert_eq!(files(&state_dir.path().join("jwks")), 1);
}

#[tokio::test]
async fn only_the_owner_gets_at_what_is_kept() {
    let parent = tempfile::tempdir().unwrap();
    let state_dir = parent.path().join("state");
    let place = LastKnownGood::new(&StateDir::new(&state_dir), &identity());
    place.save(&record()).await.unwrap();
    assert_eq!(mode(&state_dir), 0o700);
    assert_eq!(mode(&state_dir.join("jwks")), 0o700);
    assert_eq!(mode(place.path()), 0o600);
}

#[tokio::test]
async fn the_location_is_neither_in_the_name_nor_in_the_content_nor_in_an_error() {
    let (_state_dir, place) = saved().await;
    let content = fs::read_to_string(place.path()).unwrap();
    fs::write(place.path(), content.replace("version", "hunter2")).unwrap();
    let error = load(&place).await.unwrap_err();
    let shown = format!("{} {place:?} {error} {error:?} {:?}", place.path().display(), record());
    for text in [&content, &shown] {
        assert!(!text.contains("hunter2") && !text.contains("id.example"), "{text}");
    }
    assert!(!shown.contains("caf"), "{shown}");
}

#[test]
fn every_part_of_the_identity_and_where_it_ends_counts() {
    let same =
        SourceIdentity::new("accounts", "jwks_url", "https://id.example/jwks?api_key=hunter2");
    assert_eq!(identity(), same);
    assert_eq!(identity().as_hex().len(), 64);
    for (issuer, kind, location) in [
        ("account", "sjwks_url", "https://id.example/jwks?api_key=hunter2"),
        ("partner", "jwks_url", "https://id.example/jwks?api_key=hunter2"),
        ("accounts", "discovery", "https://id.example/jwks?api_key=hunter2"),
        ("accounts", "jwks_url", "https://id.example/jwks?api_key=hunter3"),
        ("accounts", "jwks_url", "https://id.example/jwks"),
    ] {
        assert_ne!(SourceIdentity::new(issuer, kind, location), identity(), "{issuer} {kind}");
    }
}

#[tokio::test]
async fn refuses_the_record_of_another_source_under_its_own_name() {
    let (state_dir, place) = saved().await;
    let other = SourceIdentity::new("accounts", "jwks_url", "https://evil.example/jwks");
    let other = LastKnownGood::new(&StateDir::new(state_dir.path()), &other);
    fs::copy(place.path(), other.path()).unwrap();
    assert_eq!(refusal(&other).await, Refusal::OtherSource);
}

#[test]
fn refuses_a_record_that_is_cut_anywhere() {
    let whole = record::encode(&identity(), &record());
    for length in 0..whole.len() {
        let cut = record::decode(&whole[..length], &identity(), 1000);
        assert!(matches!(cut, Err(Refusal::Damaged(_))), "{length}: {cut:?}");
    }
    assert_eq!(record::decode(&whole, &identity(), 1000), Ok(record()));
}

#[test]
fn refuses_a_record_with_any_bit_flipped() {
    let whole = record::encode(&identity(), &record());
    for (place, bit) in (0..whole.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << bit;
        let outcome = record::decode(&flipped, &identity(), 1000);
        let refused = matches!(outcome, Err(Refusal::Damaged(_) | Refusal::UnknownVersion(_)));
        assert!(refused, "byte {place}, bit {bit}: {outcome:?}");
    }
}

#[test]
fn refuses_whatever_is_not_a_record_even_with_a_right_digest() {
    let whole = String::from_utf8(record::encode(&identity(), &record())).unwrap();
    let (_, content) = whole.split_once(r#""record":"#).unwrap();
    let content = content.strip_suffix('}').unwrap();
    let signed = |content: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(r#"{{"version":1,"sha256":"{digest}","record":{content}}}"#)
    };
    assert_eq!(signed(content), whole);
    let decode = |text: &str| record::decode(text.as_bytes(), &identity(), 1000);
    for text in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        "\0".repeat(whole.len()),
        format!("{whole}{whole}"),
        format!("\u{feff}{whole}"),
        whole.replace(r#""version":1"#, r#""version":-1"#),
        whole.replace(r#"{"version":1"#, r#"{"version":1,"version":1"#),
        whole.replace(r#"{"version":1"#, r#"{"version":1,"other":1"#),
        signed("null"),
        signed(&"[".repeat(100_000)),
        signed(&content.replace("identity", "other")),
        signed(&content.replace(r#"{"identity""#, r#"{"other":1,"identity""#)),
        signed(&content.replace(r#"{"identity""#, r#"{"body":"","identity""#)),
        signed(&content.replace("1700000000000", "1700000000000.5")),
        signed(&content.replace("1700000000000", "99999999999999999999")),
        signed(&content.replace("300001", "-1")),
        signed(&content.replace(r#""body":""#, r#""body":"*"#)),
    ] {
        assert!(matches!(decode(&text), Err(Refusal::Damaged(_))), "{text:.200}");
    }
    let future = r#"{"version":2,"keys":"elsewhere"}"#;
    assert_eq!(decode(future), Err(Refusal::UnknownVersion(2)));
}

#[tokio::test]
async fn refuses_a_record_that_is_too_old_or_from_the_future() {
    let (_state_dir, place) = saved().await;
    let at = async |now: UnixTime, max_stale| {
        place.load(now, max_stale, 1000).await.map(|record| record.unwrap().fetched_at)
    };
    let ms = Duration::from_millis(1);
    let limit = NOW.saturating_add(DAY);
    assert_eq!(at(limit, Some(DAY)).await.unwrap(), NOW);
    let error = at(limit.saturating_add(ms), Some(DAY)).await.unwrap_err().to_string();
    assert!(error.ends_with("it was fetched 86400.001s ago, max_stale is 86400s"), "{error}");
    assert_eq!(at(UnixTime::from_millis(i64::MAX), None).await.unwrap(), NOW);
    // A clock that was set back must not make old keys last longer.
    let ahead = UnixTime::from_millis(NOW.as_millis() - 300_000);
    assert_eq!(at(ahead, Some(DAY)).await.unwrap(), ahead);
    let too_far = UnixTime::from_millis(NOW.as_millis() - 300_001);
    let error = at(too_far, None).await.unwrap_err().to_string();
    assert!(error.ends_with("it was fetched 300.001s in the future, at most 300s is accepted"));
}

#[tokio::test]
async fn refuses_a_file_that_others_can_write_or_replace() {
    let (state_dir, place) = saved().await;
    let directory = state_dir.path().join("jwks");
    for bits in [0o660, 0o602, 0o666] {
        set_mode(place.path(), bits);
        assert_eq!(refusal(&place).await, Refusal::WritableByOthers { place: "it", mode: bits });
    }
    // Reading it does no harm: the keys are public.
    set_mode(place.path(), 0o644);
    assert!(load(&place).await.unwrap().is_some());
    set_mode(&directory, 0o777);
    let expected = Refusal::WritableByOthers { place: "its directory", mode: 0o777 };
    assert_eq!(refusal(&place).await, expected);
    let error = place.save(&record()).await.unwrap_err().to_string();
    assert!(error.contains("its directory has mode 777"), "{error}");
}

#[test]
fn refuses_what_another_user_but_root_made() {
    assert_eq!(check_owner(IT, 65532, 65532), Ok(()));
    assert_eq!(check_owner(IT, 0, 65532), Ok(()));
    assert_eq!(check_owner(IT, 1, 0), Err(Refusal::WrongOwner { place: IT, owner: 1 }));
}

#[tokio::test]
async fn refuses_what_is_not_a_regular_file_without_waiting_for_it() {
    let (_state_dir, place) = saved().await;
    let path = place.path();
    fs::remove_file(path).unwrap();
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
    assert_eq!(refusal(&place).await, Refusal::NotAFile("neither a file nor a directory"));
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    assert_eq!(refusal(&place).await, Refusal::NotAFile("a directory"));
    assert!(matches!(place.save(&record()).await, Err(DiskError::Write { .. })));
    fs::remove_dir(path).unwrap();
    symlink("/dev/zero", path).unwrap();
    assert_eq!(refusal(&place).await, Refusal::NotAFile("a symlink"));
    place.save(&record()).await.unwrap();
    assert_eq!(load(&place).await.unwrap(), Some(record()));
}

#[tokio::test]
async fn the_size_is_looked_at_before_the_content_is() {
    let (_state_dir, place) = saved().await;
    let short = place.load(NOW, None, BODY.len() - 1).await.unwrap_err();
    let expected = Refusal::TooLarge(BODY.len() - 1);
    assert!(matches!(short, DiskError::Refused { refusal, .. } if refusal == expected));
    let file = File::options().write(true).open(place.path()).unwrap();
    // Sparse: reading it all would take memory that a test machine does not have.
    file.set_len(1 << 40).unwrap();
    assert!(matches!(refusal(&place).await, Refusal::TooLarge(_)));
}

#[tokio::test]
async fn the_largest_document_with_the_longest_validators_comes_back() {
    let (_state_dir, place) = place();
    let etag = Some("\u{1}".repeat(1024));
    let whole =
        Record { body: vec![b'x'; 1_000], etag: etag.clone(), last_modified: etag, ..record() };
    place.save(&whole).await.unwrap();
    assert_eq!(place.load(NOW, None, 1_000).await.unwrap(), Some(whole.clone()));
    let long = Record { etag: Some("x".repeat(1025)), ..whole.clone() };
    place.save(&long).await.unwrap();
    assert_eq!(place.load(NOW, None, 1_000).await.unwrap(), Some(Record { etag: None, ..whole }));
}

#[tokio::test]
async fn a_crash_before_the_rename_leaves_the_record_before_and_is_tidied_up_later() {
    let (_state_dir, place) = saved().await;
    let newer = record::encode(&identity(), &Record { body: b"newer".to_vec(), ..record() });
    let unfinished = place.path().with_file_name(".unfinished-a1B2c3");
    let written = |content: &[u8]| {
        fs::write(&unfinished, content).unwrap();
        let written = unfinished.metadata().unwrap().mtime();
        UnixTime::from_secs(written).unwrap()
    };
    for length in [0, newer.len() / 2, newer.len()] {
        let now = written(&newer[..length]);
        assert_eq!(place.load(now, None, 1000).await.unwrap(), Some(record()));
        assert!(unfinished.exists(), "it may be another process's");
    }
    // The first save ever may crash too.
    fs::remove_file(place.path()).unwrap();
    let now = written(&newer);
    assert_eq!(place.load(now, None, 1000).await.unwrap(), None);
    let later = now.saturating_add(LEFTOVER_AGE + Duration::from_secs(1));
    assert_eq!(place.load(later, None, 1000).await.unwrap(), None);
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_is_an_error_and_nothing_else() {
    let (directory, _) = place();
    let file = directory.path().join("file");
    fs::write(&file, "not ours").unwrap();
    let jwks_is_a_file = directory.path().join("state");
    fs::create_dir(&jwks_is_a_file).unwrap();
    fs::write(jwks_is_a_file.join("jwks"), "not ours").unwrap();
    for state_dir in [
        file.clone(),
        file.join("below"),
        jwks_is_a_file.clone(),
        directory.path().join("missing/state"),
        // Root, too, can make nothing here.
        PathBuf::from("/proc/self"),
        PathBuf::from("/proc/state"),
        PathBuf::from("/dev/full"),
        PathBuf::from(std::ffi::OsStr::from_bytes(b"nul\0")),
    ] {
        let place = LastKnownGood::new(&StateDir::new(&state_dir), &identity());
        let error = place.save(&record()).await.unwrap_err();
        assert!(matches!(error, DiskError::Write { .. }), "{state_dir:?}: {error:?}");
        let shown = error.to_string();
        assert!(shown.contains(": cannot be written: "), "{shown}");
        let record = load(&place).await;
        assert!(!matches!(record, Ok(Some(_))), "{state_dir:?}");
    }
    let below_a_file = LastKnownGood::new(&StateDir::new(&file), &identity());
    assert!(matches!(load(&below_a_file).await, Err(DiskError::Read { .. })));
    assert_eq!(fs::read(&file).unwrap(), b"not ours");
    assert_eq!(fs::read(jwks_is_a_file.join("jwks")).unwrap(), b"not ours");
}

#[tokio::test]
async fn writers_of_two_processes_leave_one_whole_record() {
    let (state_dir, reader) = saved().await;
    let writers = (0..8_u8).map(|nth| {
        let place = LastKnownGood::new(&StateDir::new(state_dir.path()), &identity());
        async move {
            for round in 0..10 {
                let body = vec![nth; 4000 * usize::from(round % 2 + nth)];
                place.save(&Record { body, ..record() }).await.unwrap();
                let read = place.load(NOW, None, 40_000).await.unwrap().unwrap();
                assert!(read.body.iter().all(|byte| *byte == read.body[0]));
            }
        }
    });
    let mut tasks = task::JoinSet::new();
    writers.for_each(|writer| drop(tasks.spawn(writer)));
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap();
    }
    assert!(reader.load(NOW, None, 40_000).await.unwrap().is_some());
    assert_eq!(files(&state_dir.path().join("jwks")), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_never_answers_is_given_up_on() {
    let (_state_dir, place) = place();
    let _at_work = Arc::clone(&place.turn).lock_owned().await;
    let error = place.save(&record()).await.unwrap_err().to_string();
    assert!(error.ends_with("the disk did not answer within 5s"), "{error}");
    assert!(matches!(load(&place).await, Err(DiskError::Read { .. })));
    assert_eq!(place.path().parent().map(Path::exists), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sources_have_few_threads_at_work_and_all_get_their_turn() {
    static AT_WORK: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let directory = tempfile::tempdir().unwrap();
    let state_dir = StateDir::new(directory.path());
    let identity =
        |n: usize| SourceIdentity::new("accounts", "jwks_url", &format!("https://id.example/{n}"));
    let all = (0..1000).map(|n| {
        let place = LastKnownGood::new(&state_dir, &identity(n));
        async move {
            let work = place.work(|_| {
                MOST.fetch_max(AT_WORK.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                AT_WORK.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            });
            work.await.is_ok()
        }
    });
    assert!(join_all(all).await.into_iter().all(|done| done));
    assert!(MOST.load(Ordering::SeqCst) <= AT_ONCE, "{MOST:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_holds_no_more_threads_than_it_was_given_and_no_source_waits_longer() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = StateDir::new(directory.path());
    let _hanging = state_dir.places.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
    let places = [(); 3].map(|()| LastKnownGood::new(&state_dir, &identity()));
    let began = time::Instant::now();
    let loads = join_all(places.iter().map(load)).await;
    assert!(loads.iter().all(|load| matches!(load, Err(DiskError::Read { .. }))), "{loads:?}");
    assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
}

#[tokio::test]
async fn what_a_directory_holds_is_looked_through_once_and_not_for_each_source() {
    let (directory, place) = saved().await;
    let state_dir = &place.state_dir;
    let unfinished = place.path().with_file_name(".unfinished-a1B2c3");
    fs::write(&unfinished, "ha").unwrap();
    let written = UnixTime::from_secs(unfinished.metadata().unwrap().mtime()).unwrap();
    let later = written.saturating_add(LEFTOVER_AGE + Duration::from_secs(1));
    place.load(later, None, 1000).await.unwrap();
    assert!(!unfinished.exists());
    fs::write(&unfinished, "ha").unwrap();
    let other = LastKnownGood::new(state_dir, &identity());
    other.load(later, None, 1000).await.unwrap();
    assert!(unfinished.exists(), "looked through again in {directory:?}");
}
