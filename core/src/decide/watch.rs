//! When a call that waits in silence has its endpoint looked at.

use std::time::Duration;

/// A slow call on a living endpoint is looked at ever more rarely.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Watch {
    first: Duration,
    pause: Duration,
}

impl Watch {
    pub fn new(probe_after: Duration) -> Watch {
        Watch {
            first: probe_after,
            pause: probe_after,
        }
    }

    /// How long the silence is borne from now on.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// Something was sent or has come.
    pub fn has_moved(&mut self) {
        self.pause = self.first;
    }

    /// The endpoint was looked at, and stays.
    pub fn has_looked(&mut self) {
        self.pause = (self.pause * 2).min(LONGEST.max(self.first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rare_and_progress_makes_them_prompt_again() {
        let second = Duration::from_secs(1);
        let mut watch = Watch::new(second);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(watch.pause(), second * expected);
            watch.has_looked();
        }
        watch.has_moved();
        assert_eq!(watch.pause(), second);
        let mut rare = Watch::new(second * 60);
        rare.has_looked();
        assert_eq!(rare.pause(), second * 60);
    }
}
