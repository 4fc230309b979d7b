//! The entries of a snapshot: a hash table in 256 parts, shared between one snapshot and the next. Pure.
//!
//! Cloning it copies 256 pointers; a change copies the part that it is in and no other. So changes cost what a few
//! thousand entries cost, and readers keep what they have. An entry takes 25 bytes, a million of them about 42 MB.

use std::fmt;
use std::sync::Arc;

use super::digest::{Digest, KEPT};
use super::entry::{EntryKind, RevocationEntry};
use crate::util::clock::UnixTime;

const PARTS: usize = 256;

/// Entries by their digests.
#[derive(Clone)]
pub(super) struct Table {
    parts: Box<[Arc<Part>]>,
    /// How many there are of each kind: what there is none of is not looked for.
    counts: [usize; EntryKind::ALL.len()],
}

/// What is known of one entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    high: u64,
    low: u64,
    /// Seconds.
    expires_at: u32,
    /// Seconds; of kinds that have none, the latest.
    not_before: u32,
}

impl Slot {
    pub(super) fn new(digest: Digest, entry: &RevocationEntry) -> Self {
        let seconds = |time: UnixTime| {
            // In range, or it would be no entry.
            u32::try_from(time.as_millis().div_euclid(1000)).unwrap_or(u32::MAX)
        };
        let not_before = entry.revoked().not_before().map_or(u32::MAX, seconds);
        let Digest { high, low } = digest;
        Self { high, low, expires_at: seconds(entry.expires_at()), not_before }
    }

    pub(super) fn digest(self) -> Digest {
        Digest { high: self.high, low: self.low & !KEPT }
    }

    pub(super) fn expires_at(self) -> UnixTime {
        from_seconds(self.expires_at)
    }

    pub(super) fn not_before(self) -> UnixTime {
        from_seconds(self.not_before)
    }

    /// Whether it is remembered although the store, which is another one since, does not have it.
    pub(super) fn is_kept(self) -> bool {
        self.low & KEPT != 0
    }

    pub(super) fn kept(self) -> Self {
        Self { low: self.low | KEPT, ..self }
    }

    /// Both of one digest: what either of them revokes.
    fn join(self, other: Self) -> Self {
        Self {
            high: self.high,
            low: self.low & other.low,
            expires_at: self.expires_at.max(other.expires_at),
            not_before: self.not_before.max(other.not_before),
        }
    }
}

fn from_seconds(seconds: u32) -> UnixTime {
    UnixTime::from_millis(i64::from(seconds) * 1000)
}

impl Default for Table {
    fn default() -> Self {
        // One part for all, until something is put into it.
        let empty = Arc::new(Part::default());
        Self { parts: vec![empty; PARTS].into(), counts: Default::default() }
    }
}

impl Table {
    /// Whether [`Self::find`] might find it: false is certain, true is not.
    pub(super) fn may_hold(&self, digest: Digest) -> bool {
        self.parts.get(part_of(digest)).is_some_and(|part| part.may_hold(digest))
    }

    pub(super) fn find(&self, digest: Digest) -> Option<Slot> {
        self.parts.get(part_of(digest))?.find(digest)
    }

    pub(super) fn has(&self, kind: EntryKind) -> bool {
        self.count(kind) > 0
    }

    pub(super) fn count(&self, kind: EntryKind) -> usize {
        // In the order of `EntryKind::ALL`.
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Puts an entry in. One of the same digest is joined with it: several writers only ever revoke more.
    pub(super) fn insert(&mut self, slot: Slot) {
        let digest = slot.digest();
        let Some(part) = self.parts.get_mut(part_of(digest)) else { return };
        if Arc::make_mut(part).insert(slot)
            && let Some(count) = self.counts.get_mut(digest.kind_index())
        {
            *count += 1;
        }
    }

    /// Forgets what expired before `before`, in the `nth` of 256 parts.
    pub(super) fn prune(&mut self, nth: usize, before: UnixTime) {
        self.retain_in(nth % PARTS, |slot| slot.expires_at() >= before);
    }

    /// The same in all of them.
    pub(super) fn prune_all(&mut self, before: UnixTime) {
        (0..PARTS).for_each(|nth| self.prune(nth, before));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// A part of which nothing goes is not copied.
    fn retain_in(&mut self, nth: usize, stays: impl Fn(Slot) -> bool) {
        let Some(part) = self.parts.get_mut(nth) else { return };
        if part.iter().all(&stays) {
            return;
        }
        let mut rest = Part::with_room_for(part.used);
        for slot in part.iter() {
            if stays(slot) {
                rest.insert(slot);
            } else if let Some(count) = self.counts.get_mut(slot.digest().kind_index()) {
                *count -= 1;
            }
        }
        *part = Arc::new(rest);
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("counts", &self.counts).finish_non_exhaustive()
    }
}

fn part_of(digest: Digest) -> usize {
    usize::try_from(digest.high >> 56).unwrap_or(0)
}

/// Open addressing with linear probing. At most seven tenths full, so that a search ends at a free slot soon; of any
/// length, so that it grows by halves and not by doubling.
///
/// Most tokens are in no list. So a search goes through the tags, a byte for each slot, and looks into a slot only where
/// that of its digest stands: all tags of a million entries are 2 MB, which a processor's cache holds, and their slots are
/// 40 MB, which it does not.
#[derive(Clone, Default)]
struct Part {
    /// Of each slot [`FREE`], or [`tag`] of what is in it; then those of the first slots again, so that a window fits
    /// wherever a search begins.
    tags: Box<[u8]>,
    slots: Box<[Slot]>,
    used: usize,
}

/// The tag of a free slot.
const FREE: u8 = 0;

/// So many tags are looked at together. A search that has not ended within them is a rare one.
const WINDOW: usize = 16;

/// Bits of a digest that choose neither the part nor the place in it.
fn tag(digest: Digest) -> u8 {
    u8::try_from(digest.low >> 56).unwrap_or(u8::MAX).max(1)
}

/// Where the search for `digest` begins. The upper bits have chosen the part.
fn home(digest: Digest, slots: usize) -> usize {
    let low_half = digest.high & 0xffff_ffff;
    usize::try_from((low_half * slots as u64) >> 32).unwrap_or(0)
}

/// The places that are searched for `digest`, in order.
fn places(digest: Digest, slots: usize) -> impl Iterator<Item = usize> {
    let start = home(digest, slots);
    (start..slots).chain(0..start)
}

/// Whether one of these tags is `tag`.
fn any_is(tags: [u8; WINDOW], tag: u8) -> bool {
    const ONES: u128 = u128::MAX / 0xff;
    let differing = u128::from_le_bytes(tags) ^ (ONES * u128::from(tag));
    // Of the lowest byte that is zero the highest bit stays; where none is, no bit does.
    differing.wrapping_sub(ONES) & !differing & (ONES << 7) != 0
}

impl Part {
    fn with_room_for(entries: usize) -> Self {
        let slots = if entries == 0 { 0 } else { entries * 10 / 7 + 2 };
        let tags = if slots == 0 { 0 } else { slots + WINDOW - 1 };
        Self { tags: vec![FREE; tags].into(), slots: vec![Slot::default(); slots].into(), used: 0 }
    }

    fn iter(&self) -> impl Iterator<Item = Slot> {
        let taken = self.tags.iter().zip(&self.slots).filter(|(tag, _)| **tag != FREE);
        taken.map(|(_, slot)| *slot)
    }

    /// Without a branch on what is there: where a search ends, a processor guesses wrongly about as often as not.
    fn may_hold(&self, digest: Digest) -> bool {
        let start = home(digest, self.slots.len());
        let window = self.tags.get(start..).and_then(|tags| tags.first_chunk());
        window.is_some_and(|tags| any_is(*tags, tag(digest)) | !any_is(*tags, FREE))
    }

    fn find(&self, digest: Digest) -> Option<Slot> {
        let wanted = tag(digest);
        for place in places(digest, self.slots.len()) {
            let tag = *self.tags.get(place)?;
            if tag == FREE {
                return None;
            }
            if tag == wanted {
                let slot = *self.slots.get(place)?;
                if slot.digest() == digest {
                    return Some(slot);
                }
            }
        }
        None
    }

    /// Returns whether it is a new one.
    fn insert(&mut self, slot: Slot) -> bool {
        if (self.used + 1) * 10 > self.slots.len() * 7 {
            let mut larger = Self::with_room_for((self.used + 4) * 3 / 2);
            for slot in self.iter() {
                larger.insert(slot);
            }
            *self = larger;
        }
        let digest = slot.digest();
        for place in places(digest, self.slots.len()) {
            let (Some(tag_here), Some(here)) =
                (self.tags.get_mut(place), self.slots.get_mut(place))
            else {
                break;
            };
            if *tag_here == FREE {
                (*tag_here, *here) = (tag(digest), slot);
                self.used += 1;
                self.repeat(place);
                return true;
            }
            if here.digest() == digest {
                *here = here.join(slot);
                return false;
            }
        }
        // Never reached: it is never full.
        false
    }

    /// Has the tag of `place` stand behind the last ones, too: more than once where there are few slots.
    fn repeat(&mut self, place: usize) {
        let Some(tag) = self.tags.get(place).copied() else { return };
        let again = (place..self.tags.len()).step_by(self.slots.len()).skip(1);
        for place in again {
            if let Some(repeated) = self.tags.get_mut(place) {
                *repeated = tag;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_seen_wherever_in_a_window_it_stands_and_no_other() {
        for tag in 0..=u8::MAX {
            for other in [tag ^ 1, tag ^ 0x80, !tag, tag.wrapping_sub(1)] {
                assert!(!any_is([other; WINDOW], tag), "{tag} {other}");
                for place in 0..WINDOW {
                    let mut tags = [other; WINDOW];
                    tags[place] = tag;
                    assert!(any_is(tags, tag), "{tag} {other} {place}");
                }
            }
        }
    }
}
