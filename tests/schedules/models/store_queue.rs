use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread::spawn;

struct Mine(Arc<AtomicUsize>);

impl Job for Mine {
    fn done(self: Box<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn ask(queue: &Queue) -> (u64, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    (queue.push(Box::new(Mine(Arc::clone(&done))), 0), done)
}

fn commit(jobs: Jobs) -> Option<Jobs> {
    shuttle::thread::yield_now();
    jobs.into_iter().for_each(Job::done);
    None
}

/// Who has waited for a group finds it done, and done once.
pub(crate) fn each_group_is_committed() {
    let queue = Arc::new(Queue::default());
    let askers: Vec<_> = (0..3)
        .map(|_| {
            let queue = Arc::clone(&queue);
            spawn(move || {
                for _ in 0..2 {
                    let (group, done) = ask(&queue);
                    queue.work_until(group, false, |jobs, _| commit(jobs));
                    assert_eq!(done.load(Ordering::SeqCst), 1);
                }
            })
        })
        .collect();
    askers.into_iter().for_each(|asker| asker.join().unwrap());
    assert!(queue.last().is_none());
}

/// What calls leave, because another process holds the store, those commit who can wait: the store's own thread, or
/// whoever asks for something else meanwhile.
pub(crate) fn what_is_left_is_committed() {
    let queue = Arc::new(Queue::default());
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let queue = Arc::clone(&queue);
            spawn(move || {
                let (group, done) = ask(&queue);
                queue.work_until(group, true, |jobs, is_brief| match is_brief {
                    true => Some(jobs),
                    false => commit(jobs),
                });
                let own = (queue.leaves_work(group) && queue.wakes_thread()).then(|| {
                    spawn(move || {
                        while !queue.lets_thread_sleep() {
                            if let Some(group) = queue.last() {
                                queue.work_until(group, false, |jobs, _| commit(jobs));
                            }
                        }
                    })
                });
                (own, done)
            })
        })
        .collect();
    let (group, done) = ask(&queue);
    queue.work_until(group, false, |jobs, _| commit(jobs));
    assert_eq!(done.load(Ordering::SeqCst), 1);
    let begun: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    for (own, done) in begun {
        own.into_iter().for_each(|own| own.join().unwrap());
        // The other's thread may have it yet.
        while done.load(Ordering::SeqCst) == 0 {
            shuttle::thread::yield_now();
        }
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
