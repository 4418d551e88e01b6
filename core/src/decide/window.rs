//! Planned interruptions: the times for which one was announced.

use std::time::Instant;

/// So many are kept; whoever announces more has announced the earliest to end in vain.
const MOST: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    start: Instant,
    end: Instant,
}

#[derive(Debug, Default)]
pub struct Windows(Vec<Window>);

impl Windows {
    /// An interruption is planned from `start` to `end`, the end excluded. Those that are over are
    /// forgotten.
    pub fn announce(&mut self, start: Instant, end: Instant, now: Instant) {
        self.0.retain(|window| window.end > now);
        self.0.push(Window { start, end });
        self.0.sort_by_key(|window| window.end);
        let over = self.0.len().saturating_sub(MOST);
        self.0.drain(..over);
    }

    /// When the interruption is over that is planned for now. Windows that meet or overlap are one.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        let within = |at: Instant| {
            let windows = self.0.iter();
            let ends = windows.filter(|window| window.start <= at && at < window.end);
            ends.map(|window| window.end).max()
        };
        let mut until = within(now)?;
        while let Some(later) = within(until) {
            until = later;
        }
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_window_is_from_its_start_to_its_end() {
        let (mut windows, begin) = (Windows::default(), Instant::now());
        let minute = |count| begin + Duration::from_secs(60) * count;
        windows.announce(minute(10), minute(20), begin);
        for (now, until) in [(9, None), (10, Some(20)), (19, Some(20)), (20, None)] {
            assert_eq!(windows.until(minute(now)), until.map(minute), "{now}");
        }
        // Those that overlap, and those that meet, are one.
        windows.announce(minute(15), minute(30), begin);
        windows.announce(minute(30), minute(40), begin);
        windows.announce(minute(50), minute(60), begin);
        for (now, until) in [
            (9, None),
            (10, Some(40)),
            (39, Some(40)),
            (40, None),
            (50, Some(60)),
        ] {
            assert_eq!(windows.until(minute(now)), until.map(minute), "{now}");
        }
    }

    #[test]
    fn what_is_over_is_forgotten_and_so_many_are_kept() {
        let (mut windows, begin) = (Windows::default(), Instant::now());
        let second = |count: u32| begin + Duration::from_secs(1) * count;
        windows.announce(second(1), second(2), begin);
        windows.announce(second(3), second(4), second(2));
        assert_eq!(windows.0.len(), 1);
        for count in 0..200 {
            windows.announce(second(10 + count), second(11 + count), second(5));
        }
        assert_eq!(windows.0.len(), MOST);
        assert_eq!(windows.until(second(209)), Some(second(210)));
    }
}
