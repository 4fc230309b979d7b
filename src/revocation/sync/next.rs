//! The next snapshot, made of the one before and of what the source said. [`super::RevocationSync`] puts it in force. It
//! takes time only: up to a tenth of a second for a million entries.

use crate::revocation::snapshot::{LEEWAY, RevocationSnapshot};
use crate::revocation::source::Change;
use crate::revocation::table::Table;
use crate::util::clock::UnixTime;

/// What was loaded with what is to be kept, and how many of its entries are kept from another store. They are until they
/// expire: that store can say no more that it did not mean to have them.
pub(super) fn merged(
    before: &RevocationSnapshot,
    mut table: Table,
    is_another: bool,
    now: UnixTime,
) -> (Table, usize) {
    let known = before.synced().into_iter().flat_map(Table::iter);
    for slot in known.filter(|slot| is_another || slot.is_kept()) {
        table.insert(slot.kept());
    }
    table.prune_all(forgotten_before(now));
    let kept = table.iter().filter(|slot| slot.is_kept()).count();
    (table, kept)
}

pub(super) fn change(table: &mut Table, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Add(slot) => table.insert(*slot),
            Change::Remove(digest) => table.remove(*digest),
        }
    }
}

/// Entries that expired before are in force no more.
pub(super) fn forgotten_before(now: UnixTime) -> UnixTime {
    let leeway = i64::try_from(LEEWAY.as_millis()).unwrap_or(i64::MAX);
    UnixTime::from_millis(now.as_millis().saturating_sub(leeway))
}
