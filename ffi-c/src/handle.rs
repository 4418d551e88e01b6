//! Handles: slot, generation, type tag and fork era in the value of a pointer that is never an
//! address.
//!
//! One table per process holds the objects of all types, so that a handle of the wrong type is
//! recognised. A lookup clones the `Arc`, so that a free on another thread cannot pull the object
//! from under it.

use std::any::Any;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::fork;
use crate::guard::Failure;
use crate::status::{D365_FORKED, D365_INVALID_HANDLE, D365_NULL_POINTER, D365_WRONG_HANDLE};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a handle needs 64 bits");

/// A type of the C ABI and the object that its handles stand for.
pub(crate) trait Noun: 'static {
    type Object: Send + Sync + 'static;
    const TAG: Tag;
    const NAME: &'static str;
}

/// The numbers are only of this process; they never cross the ABI by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    Error = 1,
    Settings = 2,
    TokenRequest = 3,
    Request = 4,
    Response = 5,
    Attempts = 6,
    Client = 7,
    Pending = 8,
    Queue = 9,
    Item = 10,
    Text = 11,
    Fault = 12,
    Outgoing = 13,
    Ledger = 14,
    Parts = 15,
}

const TAG_BITS: u32 = 5;
const ERA_BITS: u32 = 11;
const SLOT_BITS: u32 = 24;
const GENERATION_BITS: u32 = 24;
const _: () = assert!(TAG_BITS + ERA_BITS + SLOT_BITS + GENERATION_BITS == usize::BITS);

const SHARD_BITS: u32 = 4;
const SHARDS: usize = 1 << SHARD_BITS;
const SLOTS_PER_SHARD: usize = 1 << (SLOT_BITS - SHARD_BITS);
const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;

/// What the value of a handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    tag: u8,
    era: u32,
    slot: usize,
    generation: u32,
}

impl Parts {
    fn pack(self) -> usize {
        let mut value = self.generation as usize;
        value = value << SLOT_BITS | self.slot;
        value = value << ERA_BITS | self.era as usize;
        value << TAG_BITS | usize::from(self.tag)
    }

    fn unpack(mut value: usize) -> Parts {
        let mut take = |bits: u32| {
            let part = value & ((1 << bits) - 1);
            value >>= bits;
            part
        };
        Parts {
            tag: take(TAG_BITS) as u8,
            era: take(ERA_BITS) as u32,
            slot: take(SLOT_BITS),
            generation: take(GENERATION_BITS) as u32,
        }
    }
}

type Object = Arc<dyn Any + Send + Sync>;

struct Entry {
    tag: u8,
    object: Object,
}

struct Slot {
    /// Of the entry that is or will be in it. A slot whose generations are used up is never used
    /// again, so that no stale handle ever means a younger object.
    generation: u32,
    entry: Option<Entry>,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Slot>,
    vacant: Vec<usize>,
}

impl Shard {
    fn insert(&mut self, entry: Entry) -> Option<(usize, u32)> {
        let index = match self.vacant.pop() {
            Some(index) => index,
            None if self.slots.len() == SLOTS_PER_SHARD => return None,
            None => {
                self.slots.push(Slot {
                    generation: 1,
                    entry: None,
                });
                self.slots.len() - 1
            }
        };
        let slot = &mut self.slots[index];
        slot.entry = Some(entry);
        Some((index, slot.generation))
    }

    fn entry(&self, index: usize, parts: Parts) -> Option<&Entry> {
        let slot = self.slots.get(index)?;
        let entry = slot.entry.as_ref()?;
        (slot.generation == parts.generation && entry.tag == parts.tag).then_some(entry)
    }

    fn remove(&mut self, index: usize) -> Option<Entry> {
        let slot = self.slots.get_mut(index)?;
        let entry = slot.entry.take()?;
        if slot.generation < GENERATION_MAX {
            slot.generation += 1;
            self.vacant.push(index);
        }
        Some(entry)
    }
}

/// Why a value is no handle of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Null,
    Invalid,
    Wrong,
    Forked,
}

#[derive(Default)]
struct Table {
    shards: [RwLock<Shard>; SHARDS],
    turn: AtomicUsize,
}

impl Table {
    fn insert(&self, tag: Tag, era: u32, object: Object) -> Option<usize> {
        let shard = self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let tag = tag as u8;
        let mut guard = self.shards[shard]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let (index, generation) = guard.insert(Entry { tag, object })?;
        Some(
            Parts {
                tag,
                era,
                slot: index << SHARD_BITS | shard,
                generation,
            }
            .pack(),
        )
    }

    fn get(&self, wanted: Tag, parts: Parts) -> Result<Object, Refusal> {
        let (shard, index) = (parts.slot % SHARDS, parts.slot >> SHARD_BITS);
        let guard = self.shards[shard]
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = guard.entry(index, parts).ok_or(Refusal::Invalid)?;
        if entry.tag != wanted as u8 {
            return Err(Refusal::Wrong);
        }
        Ok(Arc::clone(&entry.object))
    }

    fn remove(&self, wanted: Tag, parts: Parts) -> Result<Object, Refusal> {
        let (shard, index) = (parts.slot % SHARDS, parts.slot >> SHARD_BITS);
        let mut guard = self.shards[shard]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if guard.entry(index, parts).ok_or(Refusal::Invalid)?.tag != wanted as u8 {
            return Err(Refusal::Wrong);
        }
        // The lock is released before the caller drops the object: a drop may call back into this
        // table.
        guard
            .remove(index)
            .map(|entry| entry.object)
            .ok_or(Refusal::Invalid)
    }
}

/// NULL until the first handle of the process, and again in a child of fork.
static TABLE: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());

/// The fork era of the process, as far as a handle has room for it. It changes only in a child of fork.
pub(crate) fn era() -> u32 {
    fork::era() & ((1 << ERA_BITS) - 1)
}

/// The parent's table is left as it is, because dropping its objects would join threads that do not
/// exist in the child.
pub(crate) fn leave_to_parent() {
    TABLE.store(ptr::null_mut(), Ordering::Release);
}

fn table() -> Option<&'static Table> {
    // SAFETY: the pointer is NULL or comes from `Box::into_raw` in `table_or_new`, and no such box
    // is ever freed.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }
}

fn table_or_new() -> &'static Table {
    if let Some(table) = table() {
        return table;
    }
    fork::watch();
    let fresh = Box::into_raw(Box::<Table>::default());
    match TABLE.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: `fresh` is published now and never freed.
        Ok(_) => unsafe { &*fresh },
        Err(winner) => {
            // SAFETY: `fresh` was not published; nobody else has it.
            drop(unsafe { Box::from_raw(fresh) });
            // SAFETY: a published table is never freed.
            unsafe { &*winner }
        }
    }
}

fn check(value: usize, now: u32) -> Result<Parts, Refusal> {
    if value == 0 {
        return Err(Refusal::Null);
    }
    let parts = Parts::unpack(value);
    match parts.era {
        era if era == now => Ok(parts),
        era if era < now => Err(Refusal::Forked),
        _ => Err(Refusal::Invalid),
    }
}

impl Refusal {
    fn of<N: Noun>(self) -> Failure {
        let name = N::NAME;
        match self {
            Refusal::Null => Failure::new(D365_NULL_POINTER, format!("{name}: the handle is NULL")),
            Refusal::Invalid => Failure::new(
                D365_INVALID_HANDLE,
                format!("{name}: the handle was freed before, or never was one"),
            ),
            Refusal::Wrong => Failure::new(
                D365_WRONG_HANDLE,
                format!("{name}: the handle is of another type"),
            ),
            Refusal::Forked => Failure::new(
                D365_FORKED,
                format!("{name}: the handle was made before fork(); open your own in the child"),
            ),
        }
    }
}

/// Puts an object into the table and returns its handle.
pub(crate) fn insert<N: Noun>(object: N::Object) -> Result<*mut N, Failure> {
    let value = table_or_new()
        .insert(N::TAG, era(), Arc::new(object))
        .ok_or_else(|| Failure::lacking(format!("{}: too many handles", N::NAME)))?;
    Ok(ptr::without_provenance_mut(value))
}

/// The object of a handle, alive as long as the caller holds it, whatever other threads free.
pub(crate) fn get<N: Noun>(handle: *const N) -> Result<Arc<N::Object>, Failure> {
    check(handle.addr(), era())
        .and_then(|parts| table().ok_or(Refusal::Invalid)?.get(N::TAG, parts))
        .and_then(|object| object.downcast().map_err(|_| Refusal::Wrong))
        .map_err(Refusal::of::<N>)
}

/// Takes the handle out of the table; NULL is no handle and no failure.
pub(crate) fn remove<N: Noun>(handle: *mut N) -> Result<Option<Arc<N::Object>>, Failure> {
    if handle.is_null() {
        return Ok(None);
    }
    check(handle.addr(), era())
        .and_then(|parts| table().ok_or(Refusal::Invalid)?.remove(N::TAG, parts))
        .and_then(|object| object.downcast().map_err(|_| Refusal::Wrong))
        .map(Some)
        .map_err(Refusal::of::<N>)
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
