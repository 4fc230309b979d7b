//! The next snapshot, made of the one before and of what the source said. [`super::RevocationSync`] puts it in force. It
//! takes time only: some tenths of a second for a million entries.

use std::time::Duration;

use crate::revocation::snapshot::{LEEWAY, RevocationSnapshot};
use crate::revocation::table::{Slot, Table};
use crate::util::clock::UnixTime;

/// The next table.
pub(super) struct Merged {
    pub(super) table: Table,
    /// How many of its entries are kept from another store. They are until they expire: that store can say no more that it
    /// did not mean to have them.
    pub(super) kept: usize,
    /// How many others are gone from this one, although nobody took them back and their time is not over.
    pub(super) lost: usize,
}

/// What was loaded with what is to be kept. `forgets`: what is missing in it was taken back.
pub(super) fn merged(
    before: &RevocationSnapshot,
    mut table: Table,
    (is_another, forgets): (bool, bool),
    now: UnixTime,
) -> Merged {
    let known = before.synced().into_iter().flat_map(Table::iter);
    let mut lost = 0;
    for slot in known {
        if is_another || slot.is_kept() {
            table.insert(slot.kept());
        } else if !forgets {
            let left = slot.expires_at().saturating_add(LEEWAY).since(now);
            lost += usize::from(left > ALMOST_OVER && table.find(slot.digest()).is_none());
            table.insert(slot);
        }
    }
    table.prune_all(forgotten_before(now));
    let kept = table.iter().filter(|slot| slot.is_kept()).count();
    Merged { table, kept, lost }
}

/// The store's clock may be ahead of ours by so much.
const ALMOST_OVER: Duration = Duration::from_secs(60);

pub(super) fn add(table: &mut Table, slots: &[Slot]) {
    slots.iter().for_each(|slot| table.insert(*slot));
}

/// Entries that expired before are in force no more.
pub(super) fn forgotten_before(now: UnixTime) -> UnixTime {
    let leeway = i64::try_from(LEEWAY.as_millis()).unwrap_or(i64::MAX);
    UnixTime::from_millis(now.as_millis().saturating_sub(leeway))
}
