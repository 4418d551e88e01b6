//! Chance, for whoever decides and has none of its own.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Chance {
    state: RandomState,
    drawn: AtomicU64,
}

impl Chance {
    /// A number from 0 to 1, 1 excluded.
    pub(crate) fn draw(&self) -> f64 {
        const BITS: u32 = 53;
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let random = self.state.hash_one(number) >> (u64::BITS - BITS);
        random as f64 / (1u64 << BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_over_their_range() {
        let chance = Chance::default();
        let mut quarters = [0; 4];
        for _ in 0..4000 {
            let number = chance.draw();
            assert!((0.0..1.0).contains(&number), "{number}");
            quarters[(number * 4.0) as usize] += 1;
        }
        // Sixteen standard deviations below the mean.
        assert!(quarters.iter().all(|count| *count > 550), "{quarters:?}");
    }
}
