use super::*;
use crate::status::d365_status_t;
use crate::text::{Text, d365_text_t};
use crate::url::*;

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Types that only the tests have, with tags of nouns they do not meet.
struct Apple;
struct Pear;

impl Noun for Apple {
    type Object = Counted;
    const TAG: Tag = Tag::Fault;
    const NAME: &'static str = "apple";
}

impl Noun for Pear {
    type Object = Counted;
    const TAG: Tag = Tag::Pending;
    const NAME: &'static str = "pear";
}

fn apple() -> (*mut Apple, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    (
        insert::<Apple>(Counted(Arc::clone(&drops))).ok().unwrap(),
        drops,
    )
}

fn status<T>(result: Result<T, Failure>) -> d365_status_t {
    result.err().map_or(0, |failure| failure.status)
}

#[test]
fn the_parts_of_a_handle_survive_its_value() {
    for parts in [
        Parts {
            tag: 1,
            era: 0,
            slot: 0,
            generation: 1,
        },
        Parts {
            tag: 31,
            era: 2047,
            slot: (1 << 24) - 1,
            generation: GENERATION_MAX,
        },
        Parts {
            tag: 7,
            era: 3,
            slot: 0x12_3456,
            generation: 0xab_cdef,
        },
    ] {
        assert_eq!(Parts::unpack(parts.pack()), parts);
    }
}

#[test]
fn a_handle_gives_its_object_until_it_is_freed() {
    let (handle, drops) = apple();
    assert!(get(handle).is_ok());
    let held = get(handle).ok().unwrap();
    assert!(remove(handle).ok().flatten().is_some());
    assert_eq!(drops.load(Ordering::SeqCst), 0, "a lookup still holds it");
    drop(held);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn misuse_has_a_status_of_its_own() {
    let (handle, drops) = apple();
    assert_eq!(status(get(handle.cast::<Pear>())), D365_WRONG_HANDLE);
    assert_eq!(status(remove(handle.cast::<Pear>())), D365_WRONG_HANDLE);
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    assert_eq!(status(get(ptr::null::<Apple>())), D365_NULL_POINTER);
    assert!(remove(ptr::null_mut::<Apple>()).ok().unwrap().is_none());
    assert_eq!(status(remove(handle)), 0);
    assert_eq!(status(get(handle)), D365_INVALID_HANDLE, "used after free");
    assert_eq!(status(remove(handle)), D365_INVALID_HANDLE, "freed twice");
}

#[test]
fn a_value_that_never_was_a_handle_is_refused() {
    let local = 5_u64;
    let address = (&raw const local).addr();
    for value in [1, 2, 31, 32, address, usize::MAX, usize::MAX - 1, 1 << 63] {
        let refused = status(get(ptr::without_provenance::<Apple>(value)));
        assert_eq!(refused, D365_INVALID_HANDLE, "{value:#x}");
    }
}

#[test]
fn a_slot_used_again_does_not_revive_an_old_handle() {
    let table = Table::default();
    let mut old = Vec::new();
    for _ in 0..3 * SHARDS {
        let value = table.insert(Tag::Text, 0, Arc::new(())).unwrap();
        assert!(table.remove(Tag::Text, Parts::unpack(value)).is_ok());
        old.push(value);
    }
    let slots: std::collections::HashSet<_> = old.iter().map(|v| Parts::unpack(*v).slot).collect();
    assert_eq!(slots.len(), SHARDS, "the slots were used again");
    let young: Vec<_> = (0..SHARDS)
        .map(|_| table.insert(Tag::Text, 0, Arc::new(())).unwrap())
        .collect();
    for value in old {
        assert_eq!(
            table.get(Tag::Text, Parts::unpack(value)).err(),
            Some(Refusal::Invalid)
        );
    }
    for value in young {
        assert!(table.get(Tag::Text, Parts::unpack(value)).is_ok());
    }
}

#[test]
fn a_slot_whose_generations_are_used_up_is_retired() {
    let mut shard = Shard::default();
    let entry = || Entry {
        tag: Tag::Text as u8,
        object: Arc::new(()),
    };
    let (index, generation) = shard.insert(entry()).unwrap();
    assert_eq!((index, generation), (0, 1));
    shard.slots[0].generation = GENERATION_MAX;
    shard.remove(0).unwrap();
    let (next, generation) = shard.insert(entry()).unwrap();
    assert_eq!((next, generation), (1, 1), "slot 0 is never used again");
    let last = Parts {
        tag: Tag::Text as u8,
        era: 0,
        slot: 0,
        generation: GENERATION_MAX,
    };
    assert!(shard.entry(0, last).is_none());
}

#[test]
fn a_handle_of_an_earlier_era_is_the_parents() {
    let parts = Parts {
        tag: Tag::Text as u8,
        era: 3,
        slot: 0,
        generation: 1,
    };
    assert_eq!(check(parts.pack(), 3), Ok(parts));
    assert_eq!(check(parts.pack(), 4), Err(Refusal::Forked));
    assert_eq!(check(parts.pack(), 2), Err(Refusal::Invalid));
}

#[test]
fn threads_that_use_and_free_one_handle_drop_it_once() {
    const ROUNDS: usize = if cfg!(miri) { 5 } else { 2_000 };
    for _ in 0..ROUNDS {
        let (handle, drops) = apple();
        let value = handle.addr();
        let freed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(move || {
                        let handle = ptr::without_provenance_mut::<Apple>(value);
                        let seen = status(get(handle));
                        assert!(seen == 0 || seen == D365_INVALID_HANDLE, "{seen}");
                        usize::from(matches!(remove(handle), Ok(Some(_))))
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!((freed, drops.load(Ordering::SeqCst)), (1, 1));
    }
}

#[test]
fn handles_of_many_threads_do_not_mix() {
    const EACH: usize = if cfg!(miri) { 20 } else { 2_000 };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let texts: Vec<_> = (0..EACH)
                    .map(|n| {
                        insert::<d365_text_t>(Text::new(format!("{thread}/{n}")))
                            .ok()
                            .unwrap()
                    })
                    .collect();
                for (n, handle) in texts.iter().enumerate() {
                    assert_eq!(get(*handle).ok().unwrap().as_str(), format!("{thread}/{n}"));
                }
                for handle in texts {
                    assert_eq!(status(remove(handle)), 0);
                }
            });
        }
    });
}

#[test]
fn a_null_output_is_found_before_anything_is_done() {
    let url = "https://contoso.crm.dynamics.com";
    // SAFETY: the text is valid for its length; NULL is allowed for outputs.
    let status = unsafe {
        d365_url_alternate(
            url.as_ptr().cast(),
            url.len(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(status, D365_NULL_POINTER);
}
