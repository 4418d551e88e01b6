use shuttle::thread::spawn;

/// Who waits is woken by what is put in, each by one, and everything comes out once.
pub(crate) fn whoever_waits_is_woken() {
    let queue = Queue::new(0).unwrap();
    let takers: Vec<_> = (0..2)
        .map(|_| {
            let queue = Arc::clone(&queue);
            spawn(move || [(); 2].map(|()| queue.next(None).unwrap().number))
        })
        .collect();
    let putters: Vec<_> = (0..2)
        .map(|_| {
            let queue = Arc::clone(&queue);
            spawn(move || (0..2).for_each(|_| queue.put(Item::completion())))
        })
        .collect();
    for putter in putters {
        putter.join().unwrap();
    }
    let mut taken: Vec<_> = takers
        .into_iter()
        .flat_map(|taker| {
            let taken = taker.join().unwrap();
            assert!(taken[0] < taken[1]);
            taken
        })
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3, 4]);
}

/// The end wakes all who wait, what was in before comes out, and who is told knows at last.
pub(crate) fn the_end_wakes_everybody() {
    use shuttle::sync::atomic::{AtomicBool, Ordering};
    let queue = Queue::new(0).unwrap();
    let is_ready = std::sync::Arc::new(AtomicBool::new(false));
    let told = std::sync::Arc::clone(&is_ready);
    queue.tell(move |now| {
        while !now && !told.load(Ordering::SeqCst) {
            shuttle::thread::yield_now();
        }
        told.store(now, Ordering::SeqCst);
    });
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let queue = Arc::clone(&queue);
            spawn(move || std::iter::from_fn(|| queue.next(None).ok()).count())
        })
        .collect();
    let putter = {
        let queue = Arc::clone(&queue);
        spawn(move || queue.put(Item::completion()))
    };
    putter.join().unwrap();
    let closer = {
        let queue = Arc::clone(&queue);
        spawn(move || queue.close())
    };
    let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
    closer.join().unwrap();
    assert_eq!(taken, 1);
    assert!(is_ready.load(Ordering::SeqCst) && queue.is_closed());
}

/// No chatty item is lost without being counted, and no room for one is.
pub(crate) fn what_is_dropped_is_counted() {
    let queue = Queue::new(1).unwrap();
    let putters: Vec<_> = (0..3)
        .map(|_| {
            let queue = Arc::clone(&queue);
            spawn(move || queue.put(Item::chatty()))
        })
        .collect();
    let first = queue.next(None).unwrap();
    for putter in putters {
        putter.join().unwrap();
    }
    queue.put(Item::completion());
    queue.close();
    let rest = std::iter::from_fn(|| queue.next(None).ok());
    let (mut came, mut dropped) = (1, first.dropped);
    for item in rest {
        came += 1;
        dropped += item.dropped;
    }
    assert_eq!(came + dropped, 4);
}
