//! What is written where, when it cannot be, and what becomes of a theft then.

use std::fs;

use super::*;
use crate::issuer::reference::refresh::{Family, Found, generate};
use crate::revocation::redis::tests::server::RedisServer;
use crate::revocation::redis::tests::settings as in_redis;
use crate::util::clock::ManualClock;

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);

fn session(id: &str, seconds: u64) -> RevocationEntry {
    let until = NOW.saturating_add(Duration::from_secs(seconds));
    RevocationEntry::new("https://id.example", Revoked::Session { sid: id.into() }, until).unwrap()
}

fn ids(path: &Path) -> Vec<String> {
    let entries = read_entries(path).unwrap();
    entries.iter().map(|entry| entry.revoked().id().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_added_to_a_file_is_there_with_what_was_there_before_until_it_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revocations");
    let file = FileWriter::new(&path);
    file.prepare(Vec::new(), NOW).unwrap();
    assert_eq!(ids(&path), Vec::<String>::new());
    let writer = RevocationWriter::new(&RevocationSettings::File(path.clone()));
    writer.write(vec![session("a", 1)], NOW).await.unwrap();
    writer.write(vec![session("b", 3600)], NOW).await.unwrap();
    assert_eq!(ids(&path), ["a", "b"]);
    let later = NOW.saturating_add(LEEWAY + Duration::from_secs(1));
    writer.write(vec![session("c", 3600)], later).await.unwrap();
    assert_eq!(ids(&path), ["b", "c"]);
}

#[tokio::test]
async fn a_file_that_is_taken_away_does_not_take_the_revocations_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revocations");
    let writer = RevocationWriter::new(&RevocationSettings::File(path.clone()));
    writer.write(vec![session("a", 60)], NOW).await.unwrap();
    fs::remove_file(&path).unwrap();
    writer.write(vec![session("b", 60), session("b", 60)], NOW).await.unwrap();
    assert_eq!(ids(&path), ["a", "b"]);
}

#[tokio::test]
async fn a_file_that_was_lost_before_the_start_is_no_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revocations");
    let settings = RevocationSettings::File(path.clone());
    let issuer = crate::issuer::reference::testing::settings(&path);
    let start = async |now: UnixTime| {
        let metrics = Arc::new(IssuerMetrics::new("production"));
        let revocations = Revocations::new(&settings, metrics);
        revocations.prepare(&issuer, Duration::from_secs(3600), now).await.unwrap();
        read_entries(&path).unwrap()
    };
    let now = NOW.saturating_add(Duration::from_millis(700));
    let entries = start(now).await;
    let everything = Revoked::Issuer { not_before: NOW };
    assert_eq!((entries.len(), entries[0].revoked()), (1, &everything));
    assert!(entries[0].expires_at() >= NOW.saturating_add(Duration::from_secs(3600)));
    let later = now.saturating_add(Duration::from_secs(5));
    assert_eq!(start(later).await, entries, "one that is there says what there is");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_written_at_the_same_time_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revocations");
    let writer = RevocationWriter::new(&RevocationSettings::File(path.clone()));
    let writes = (0..20).map(|i| writer.write(vec![session(&format!("s{i}"), 60)], NOW));
    for written in futures_util::future::join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(ids(&path).len(), 20);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_not_replaced_and_what_nobody_asks_for_again_is_written_later()
 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revocations");
    fs::write(&path, "half a li").unwrap();
    let settings = RevocationSettings::File(path.clone());
    let revocations = Revocations::new(&settings, Arc::new(IssuerMetrics::new("production")));
    let issuer = crate::issuer::reference::testing::settings(&path);
    let refresh = RefreshStore::new(issuer.refresh, &settings);
    let clock = ManualClock::new(NOW);
    assert!(revocations.session(&issuer, "a", NOW, NOW).await.is_err());
    assert_eq!(revocations.unwritten(), 0, "whoever asked for it asks again");
    revocations.theft(&issuer, &refresh, "b", &clock).await.unwrap();
    revocations.try_again(&issuer, &refresh, &clock).await;
    assert_eq!((revocations.unwritten(), fs::read(&path).unwrap()), (1, b"half a li".to_vec()));
    fs::remove_file(&path).unwrap();
    revocations.try_again(&issuer, &refresh, &clock).await;
    assert_eq!((revocations.unwritten(), ids(&path)), (0, vec!["b".to_owned()]));
}

#[tokio::test]
async fn a_theft_is_dealt_with_although_who_caused_it_hangs_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revocations");
    let settings = RevocationSettings::File(path.clone());
    let revocations = Revocations::new(&settings, Arc::new(IssuerMetrics::new("production")));
    let issuer = crate::issuer::reference::testing::settings(&path);
    let (refresh, clock) = (RefreshStore::new(issuer.refresh, &settings), ManualClock::new(NOW));
    let RevocationWriter::File(file) = &revocations.writer else { panic!("a file") };
    let busy = Arc::clone(&file.turn).lock_owned().await;
    let mut noticing = Box::pin(revocations.theft(&issuer, &refresh, "stolen", &clock));
    tokio::select! {
        biased;
        _ = &mut noticing => panic!("it waits for its turn"),
        () = task::yield_now() => {}
    }
    drop(noticing);
    drop(busy);
    assert_eq!(revocations.unwritten(), 1);
    revocations.try_again(&issuer, &refresh, &clock).await;
    assert_eq!((revocations.unwritten(), ids(&path)), (0, vec!["stolen".to_owned()]));
}

#[tokio::test]
async fn a_family_that_could_not_be_ended_ends_with_its_entry_and_the_entry_outlives_its_tokens() {
    let server = RedisServer::start();
    let redis = &in_redis(&server);
    let settings = RevocationSettings::Redis(Box::new(redis.clone()));
    Writer::new(redis.clone()).init("one").await.unwrap();
    let revocations = Revocations::new(&settings, Arc::new(IssuerMetrics::new("production")));
    let issuer = crate::issuer::reference::testing::settings(Path::new("/nowhere"));
    let (refresh, clock) = (RefreshStore::new(issuer.refresh, &settings), ManualClock::new(NOW));
    let (_, current) = generate().unwrap();
    let family = Family {
        id: "stolen".to_owned(),
        client: "agent".to_owned(),
        scopes: Vec::new(),
        audiences: Vec::new(),
    };
    refresh.begin(family.clone(), current, NOW).await.unwrap();
    // It answers, and takes nothing: the master has moved.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(revocations.theft(&issuer, &refresh, "stolen", &clock).await.is_err());
    revocations.try_again(&issuer, &refresh, &clock).await;
    assert_eq!(refresh.find(current, clock.now()).await.unwrap(), Found::Current(family));
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    clock.advance(Duration::from_secs(3600));
    revocations.try_again(&issuer, &refresh, &clock).await;
    assert_eq!(refresh.find(current, clock.now()).await.unwrap(), Found::Unknown);
    let (entries, _) = Writer::new(redis.clone()).list().await.unwrap();
    assert_eq!((entries.len(), revocations.unwritten()), (1, 0));
    assert!(entries[0].expires_at() >= clock.now().saturating_add(issuer.lifetime));
}

#[test]
fn writers_of_a_slow_file_leave_the_threads_that_sign_and_hash_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revocations");
    let writer = RevocationWriter::new(&RevocationSettings::File(path));
    let RevocationWriter::File(file) = &writer else { panic!("a file") };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(2).build().unwrap();
    let slow = file.known.lock().unwrap();
    let others_work = runtime.block_on(async {
        let mut writes = futures_util::future::join_all(
            ["a", "b", "c"].map(|id| Box::pin(writer.write(vec![session(id, 60)], NOW))),
        );
        let working = async {
            task::yield_now().await;
            timeout(Duration::from_secs(2), task::spawn_blocking(|| ())).await.is_ok()
        };
        tokio::select! { _ = &mut writes => false, works = working => works }
    });
    drop(slow);
    runtime.shutdown_timeout(Duration::from_secs(5));
    assert!(others_work);
}
