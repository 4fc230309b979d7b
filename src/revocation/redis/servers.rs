//! Finds the server to talk to: the one that was named, the one that Sentinels call the master, or the node of a Cluster
//! that has our slot. One connection is all that is ever needed: every key is in one slot.

use redis::cmd;
use tokio::time::{Duration, sleep};

use super::RedisError;
use super::connection::Connection;
use super::reply::{self, Odd};
use super::settings::{Account, Address, RedisSettings, Servers};
use crate::util::file::Turn;

/// How often Sentinels are asked whether the master is still the same. A master that is cut off from them answers as
/// ever, and hears of nothing new.
pub(super) const WATCH: Duration = Duration::from_secs(5);

/// A Cluster that sends us from node to node any longer does not know itself.
const MOST_REDIRECTS: usize = 5;

/// A connection to the server that has the list, with the database selected.
///
/// # Errors
/// There is none; the reason of the last that was tried.
pub(super) async fn open(settings: &RedisSettings, turn: &Turn) -> Result<Connection, RedisError> {
    match &settings.servers {
        Servers::One(address) => at(address, settings, turn).await,
        Servers::Sentinel { .. } => {
            let mut connection = at(&master(settings, turn).await?, settings, turn).await?;
            check_role(&mut connection).await?;
            Ok(connection)
        }
        Servers::Cluster(nodes) => {
            let mut last = RedisError::NoServer("no node is configured".to_owned());
            for node in nodes {
                match owner(node, settings, turn).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

/// Resolves once Sentinels call another server the master than `now`; never without Sentinels. That none of them answers
/// is no reason to leave a master that does.
pub(super) async fn until_moved(settings: RedisSettings, turn: Turn, now: Address) {
    if !matches!(settings.servers, Servers::Sentinel { .. }) {
        return std::future::pending().await;
    }
    loop {
        sleep(WATCH).await;
        if master(&settings, &turn).await.is_ok_and(|master| master != now) {
            return;
        }
    }
}

/// `kept` from the last use, if it still answers and leads to the right server; else another one.
///
/// # Errors
/// There is none; the reason of the last that was tried.
pub(super) async fn reopen(
    kept: Option<Connection>,
    settings: &RedisSettings,
    turn: &Turn,
) -> Result<Connection, RedisError> {
    // A master that is cut off from its Sentinels takes what is written to it, and all of that is lost.
    let may_have_moved = matches!(settings.servers, Servers::Sentinel { .. });
    if let Some(mut connection) = kept
        && !(may_have_moved && connection.age() >= WATCH)
        // A refusal is an answer: whoever may only read need not have the right to ask.
        && connection.ask("PING", &cmd("PING")).await.is_ok()
    {
        return Ok(connection);
    }
    open(settings, turn).await
}

async fn at(
    address: &Address,
    settings: &RedisSettings,
    turn: &Turn,
) -> Result<Connection, RedisError> {
    let account = settings.account.as_ref();
    let mut connection = Connection::open(address, settings, account, turn).await?;
    if settings.database != 0 {
        let answer = connection.ask("SELECT", cmd("SELECT").arg(settings.database)).await?;
        connection.taken("SELECT", reply::accepted(&answer))?;
    }
    Ok(connection)
}

/// What the first Sentinel that knows says.
async fn master(settings: &RedisSettings, turn: &Turn) -> Result<Address, RedisError> {
    let Servers::Sentinel { master, sentinels, account } = &settings.servers else {
        return Err(RedisError::NoServer("no Sentinel is configured".to_owned()));
    };
    let mut last = RedisError::NoServer("no Sentinel is configured".to_owned());
    for sentinel in sentinels {
        match asked(sentinel, master, settings, account.as_ref(), turn).await {
            Ok(address) => return Ok(address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn asked(
    sentinel: &Address,
    master: &str,
    settings: &RedisSettings,
    account: Option<&Account>,
    turn: &Turn,
) -> Result<Address, RedisError> {
    const COMMAND: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME";
    let mut connection = Connection::open(sentinel, settings, account, turn).await?;
    let mut command = cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let answer = connection.ask(COMMAND, &command).await?;
    if answer == redis::Value::Nil {
        let master = reply::shown(master);
        return Err(RedisError::NoServer(format!("{sentinel} knows no master {master}")));
    }
    let parts = connection.taken(COMMAND, reply::texts(answer))?;
    let parts: Result<Vec<_>, _> = parts.into_iter().map(String::from_utf8).collect();
    let address = match parts.as_deref() {
        Ok([host, port]) => port.parse().ok().zip(told(host)),
        Ok(_) | Err(_) => None,
    };
    let address = address.map(|(port, host)| Address::Tcp(host, port));
    connection.taken(COMMAND, address.ok_or(Odd::Form))
}

/// A Sentinel may not have heard yet: what it calls the master has to call itself that too, if it tells us.
async fn check_role(connection: &mut Connection) -> Result<(), RedisError> {
    let answer = connection.ask("INFO", cmd("INFO").arg("replication")).await?;
    match reply::text(answer) {
        Ok(Some(info)) if !String::from_utf8_lossy(&info).contains("role:master") => {
            Err(RedisError::Replica(connection.address().clone()))
        }
        // An account that may not ask this can do without.
        Ok(_) | Err(Odd::Refused(_)) => Ok(()),
        Err(odd) => connection.taken("INFO", Err(odd)),
    }
}

/// Follows the Cluster from `node` to the node that has our slot.
async fn owner(
    node: &Address,
    settings: &RedisSettings,
    turn: &Turn,
) -> Result<Connection, RedisError> {
    let mut address = node.clone();
    for _ in 0..=MOST_REDIRECTS {
        let mut connection = at(&address, settings, turn).await?;
        let answer = connection.ask("GET", cmd("GET").arg(settings.prefix.epoch())).await?;
        match moved(&answer, &address) {
            Some(next) => address = next,
            None => return Ok(connection),
        }
    }
    Err(RedisError::NoServer(format!("{node} and others send us from one to the next")))
}

/// Where `MOVED SLOT HOST:PORT` sends us from `here`.
fn moved(answer: &redis::Value, here: &Address) -> Option<Address> {
    let redis::Value::ServerError(error) = answer else { return None };
    if error.code() != "MOVED" {
        return None;
    }
    let (_slot, place) = error.details()?.split_once(' ')?;
    let (host, port) = place.trim().rsplit_once(':')?;
    let port = port.parse().ok()?;
    match (host, here) {
        // A node that does not know what it is called: as before.
        ("" | "?", Address::Tcp(host, _)) => Some(Address::Tcp(host.clone(), port)),
        ("" | "?", Address::Unix(_)) => None,
        (host, _) => Some(Address::Tcp(told(host)?, port)),
    }
}

/// A host that a server told us: it is resolved, and shown to people.
fn told(host: &str) -> Option<String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // The longest name that there is (RFC 1035 §2.3.4); `%` begins the zone of an IPv6 address.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte);
    let is_host = (1..=253).contains(&host.len()) && host.bytes().all(is_plain);
    is_host.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_a_cluster_sends_us_to_the_one_that_has_the_slot() {
        let here = Address::Tcp("a".to_owned(), 1);
        let to = |wire: &str| moved(&redis::parse_redis_value(wire.as_bytes()).unwrap(), &here);
        let tcp = |host: &str, port| Some(Address::Tcp(host.to_owned(), port));
        assert_eq!(to("-MOVED 3999 127.0.0.1:6381\r\n"), tcp("127.0.0.1", 6381));
        assert_eq!(to("-MOVED 3999 ::1:6381\r\n"), tcp("::1", 6381));
        assert_eq!(to("-MOVED 3999 :6381\r\n"), tcp("a", 6381), "on the same host");
        for odd in
            ["-MOVED\r\n", "-MOVED 3999\r\n", "-MOVED 3999 b\r\n", "-ASK 1 b:1\r\n", "$-1\r\n"]
        {
            assert_eq!(to(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_a_server_calls_another_one_is_a_host_and_nothing_that_a_terminal_obeys() {
        for host in ["redis-1.example", "10.0.0.1", "::1", "[fe80::1%eth0]", "redis_1"] {
            assert!(told(host).is_some(), "{host}");
        }
        for odd in ["", "a\u{1b}[2Jb", "a b", "a/b", "a\n", "ä", &"a".repeat(254)] {
            assert_eq!(told(odd), None, "{odd:?}");
        }
    }
}
