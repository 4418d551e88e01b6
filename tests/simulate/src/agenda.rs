//! What comes when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Time;

/// Of two at one time comes first what was put down first.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    entries: BinaryHeap<Entry<E>>,
    numbers: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Time,
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Agenda<E> {
        Agenda {
            entries: BinaryHeap::new(),
            numbers: 0,
        }
    }

    pub(crate) fn put(&mut self, at: Time, event: E) {
        self.numbers += 1;
        let number = self.numbers;
        self.entries.push(Entry { at, number, event });
    }

    /// When the next one comes.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.entries.peek().map(|entry| entry.at)
    }

    pub(crate) fn take(&mut self) -> Option<(Time, E)> {
        self.entries.pop().map(|entry| (entry.at, entry.event))
    }

    /// All, in no order.
    pub(crate) fn events(&self) -> impl Iterator<Item = &E> {
        self.entries.iter().map(|entry| &entry.event)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Entry<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Entry<E>) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_is_taken_first_and_of_two_at_once_the_one_put_down_first() {
        let mut agenda = Agenda::new();
        for (at, event) in [(2, 'c'), (1, 'a'), (1, 'b'), (3, 'd')] {
            agenda.put(Time::from_secs(at), event);
        }
        assert_eq!(agenda.next_at(), Some(Time::from_secs(1)));
        assert_eq!(agenda.events().count(), 4);
        let taken = std::iter::from_fn(|| agenda.take()).map(|(_, event)| event);
        assert_eq!(taken.collect::<String>(), "abcd");
    }
}
