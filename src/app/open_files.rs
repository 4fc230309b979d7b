//! How many files the system lets us have open, and what follows from it: connections must leave enough for reading
//! keys, certificates and the configuration.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections are served at once, by listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxConnections {
    /// Of `listen.grpc`, where an Envoy has one for each of its workers. With `listen.http`, where a proxy has one for each
    /// request that it asks about at once, each of the two has half.
    pub front: usize,
    /// Of `listen.admin`.
    pub admin: usize,
}

impl MaxConnections {
    /// As many as make sense, if so many `files` may be open.
    pub fn within(files: u64) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        let rest = files.saturating_sub(RESERVE).max(files / 2);
        Self { front: rest.min(MOST_FRONT), admin: (files / 8).min(MOST_ADMIN) }
    }
}

const MOST_FRONT: usize = 16 * 1024;
const MOST_ADMIN: usize = 128;

/// For the admin port, key sources and the programs among them, files.
const RESERVE: usize = 512;

/// Lets this process have as many files open as it may, and says how many those are. The usual limit is there for
/// programs that use `select`, which we do not.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it cannot be raised it stays as it was.
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        let unlimited = MaxConnections { front: MOST_FRONT, admin: MOST_ADMIN };
        assert_eq!(MaxConnections::within(u64::MAX), unlimited);
        assert_eq!(MaxConnections::within(1024), MaxConnections { front: 512, admin: 128 });
        assert_eq!(MaxConnections::within(20_000), unlimited);
        assert_eq!(MaxConnections::within(64), MaxConnections { front: 32, admin: 8 });
        for files in 16..100_000 {
            let most = MaxConnections::within(files);
            let left = files - (most.front + most.admin) as u64;
            assert!(left >= (files * 3 / 8).min(384), "{files}: {most:?}");
            assert!(most.front > 0 && most.admin > 0);
        }
    }
}
