//! Credentials in every form that a client, or somebody else, may send them in; and what is done for each of them.

use axum::http::HeaderValue;

use super::*;
use crate::issuer::reference::settings::Scope;
use crate::util::label::Label;

const SECRET: &str = "a secret: of 27 characters+";
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

fn form(body: &str) -> Form {
    Form::parse(FORM, body.as_bytes()).unwrap()
}

fn headers(fields: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(header::AUTHORIZATION, HeaderValue::from_str(field).unwrap());
    }
    headers
}

fn basic_of(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn read(fields: &[&str], body: &str) -> Result<(String, String), Refused> {
    let credentials = Credentials::of(&headers(fields), &form(body))?;
    Ok((credentials.id, credentials.secret.to_string()))
}

#[test]
fn both_forms_are_read_and_what_is_encoded_is_decoded() {
    let expected = Ok(("worker".to_owned(), SECRET.to_owned()));
    let encoded = "a+secret%3A+of+27+characters%2B";
    assert_eq!(read(&[&basic_of(&format!("worker:{encoded}"))], ""), expected);
    assert_eq!(
        read(
            &[&basic_of(&format!("worker:{encoded}")).replace("Basic", "bASIC")],
            "client_id=worker"
        ),
        expected
    );
    assert_eq!(read(&[], &format!("client_id=worker&client_secret={encoded}")), expected);
}

#[test]
fn credentials_that_are_there_more_than_once_are_refused() {
    let basic = basic_of("worker:secret");
    for (fields, body) in [
        (vec![&*basic, &basic], ""),
        (vec![&*basic], "client_id=worker&client_secret=secret"),
        (vec![&*basic], "client_secret=secret"),
        (vec![&*basic], "client_id=another"),
    ] {
        assert_eq!(read(&fields, body), Err(TWICE), "{body}");
    }
}

#[test]
fn what_is_no_credential_is_an_invalid_client() {
    for (field, body) in [
        ("", ""),
        ("Bearer abc", ""),
        ("Basic", ""),
        ("Basic !", ""),
        ("Basic d29ya2Vy", ""),
        (&*basic_of("wo%rker:secret"), ""),
        (&*basic_of("worker:%ff"), ""),
        (&*format!("Basic {}", STANDARD.encode(b"w\xff:s")), ""),
        (&*basic_of(&format!("worker:{}", "a".repeat(MAX_SECRET_BYTES + 1))), ""),
        (&*basic_of(&format!("{}:a", "a".repeat(MAX_ID_BYTES + 1))), ""),
    ] {
        assert_eq!(read(&[field], body), Err(Refused::InvalidClient), "{field}");
    }
    for body in ["", "client_id=worker", "client_secret=secret", "client_id=&client_secret=a"] {
        assert_eq!(read(&[], body), Err(Refused::InvalidClient), "{body}");
    }
}

#[test]
fn debug_does_not_show_the_secret() {
    let credentials = Credentials::of(&headers(&[&basic_of("worker:hush")]), &form("")).unwrap();
    assert!(!format!("{credentials:?}").contains("hush"));
}

fn client(place: usize, id: &str, secrets: &[&str]) -> Client {
    Client {
        label: Label::new(place, id),
        secrets: secrets.iter().map(|secret| SecretHash::of(secret.as_bytes()).unwrap()).collect(),
        subject: id.to_owned(),
        scopes: vec![Scope::parse("read").unwrap()],
        default_scopes: vec![],
        audiences: vec!["orders".to_owned()],
        roles: vec![],
        lifetime: Duration::from_secs(300),
        refresh_tokens: false,
    }
}

const OTHER: &str = "another secret, of the other one";
const NEXT: &str = "the next secret, while it changes";

fn authenticator(client_attempts: u32) -> Authenticator {
    let clients = [client(0, "worker", &[SECRET]), client(1, "other", &[OTHER, NEXT])];
    let limits = RateLimits { client_attempts, attempts: 100, ..RateLimits::default() };
    Authenticator::new(clients.into(), limits, NOW).unwrap()
}

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);

async fn ask(of: &Authenticator, id: &str, secret: &str) -> Result<String, Refused> {
    let credentials = Credentials { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) };
    of.authenticate(credentials, NOW).await.map(|client| client.id().to_owned())
}

#[tokio::test]
async fn a_client_is_who_has_its_secret_and_nobody_else() {
    let of = authenticator(60);
    assert_eq!(ask(&of, "worker", SECRET).await, Ok("worker".to_owned()));
    assert_eq!(ask(&of, "worker", SECRET).await, Ok("worker".to_owned()), "a second time");
    for secret in [OTHER, NEXT] {
        assert_eq!(ask(&of, "other", secret).await, Ok("other".to_owned()));
    }
    for (id, secret) in [
        ("worker", OTHER),
        ("other", SECRET),
        ("nobody", SECRET),
        ("Worker", SECRET),
        ("worker", ""),
        ("", ""),
    ] {
        assert_eq!(ask(&of, id, secret).await, Err(Refused::InvalidClient), "{id}");
    }
}

#[tokio::test]
async fn who_tries_secrets_is_stopped_and_does_not_stop_the_client() {
    let of = authenticator(3);
    assert!(ask(&of, "worker", SECRET).await.is_ok());
    for attempt in 0..2 {
        assert_eq!(ask(&of, "worker", OTHER).await, Err(Refused::InvalidClient), "{attempt}");
    }
    assert!(matches!(ask(&of, "worker", OTHER).await, Err(Refused::TooMany(_))));
    assert!(ask(&of, "worker", SECRET).await.is_ok(), "what was right before needs no attempt");
    assert!(ask(&of, "other", OTHER).await.is_ok(), "another client's attempts are its own");
}

#[test]
fn every_secret_takes_the_same_work_whoever_it_is_said_to_be_of() {
    let of = authenticator(60);
    let work = |client: Option<&Client>| {
        let hashes = of.hashes(client);
        hashes.iter().map(|(hash, _)| hash.cost()).collect::<Vec<_>>()
    };
    let of_nobody = work(None);
    assert_eq!(of_nobody.len(), 2, "as many as the client with most of them");
    for id in ["worker", "other"] {
        assert_eq!(work(of.client(id)), of_nobody, "{id}");
    }
    let counts: Vec<bool> =
        of.hashes(of.client("worker")).iter().map(|(_, counts)| *counts).collect();
    assert_eq!(counts, [true, false]);
}

#[tokio::test]
async fn what_is_remembered_is_no_secret_and_bounded() {
    let of = authenticator(60);
    for _ in 0..3 {
        ask(&of, "worker", SECRET).await.unwrap();
    }
    let proven = of.proven[0].lock().unwrap();
    assert_eq!(proven.len(), 1);
    assert_ne!(proven[0].as_ref(), SECRET.as_bytes());
}
