//! What is counted of a run, and the figures that come of it.

use std::time::Duration;

use d365_failover_core::{Operation, Role};
use serde::Serialize;

use crate::Time;
use crate::arrivals::{Call, factor, rate};
use crate::disaster::{Disaster, is_cut_off};
use crate::truth::{Told, Verdict, index};

/// How wide the buckets of the load are.
pub const BUCKET: Duration = Duration::from_millis(100);
/// A call that takes longer is late.
const LATE: Duration = Duration::from_secs(5);
/// What calls are.
const ALL: [Operation; 3] = [Operation::Read, Operation::Guarded, Operation::Unsafe];

/// What is counted while a run lasts.
#[derive(Debug)]
pub struct Records {
    /// Requests that came to each side in each bucket: calls', and with probes.
    arrived: [[Vec<u32>; 2]; 2],
    sent: Vec<u32>,
    probed: Vec<u32>,
    left: Vec<(Time, bool)>,
    ended: Vec<Option<(Time, Told)>>,
}

fn bucket(at: Time) -> usize {
    (at.as_nanos() / BUCKET.as_nanos()) as usize
}

fn count(series: &mut Vec<u32>, at: Time) {
    let bucket = bucket(at);
    if series.len() <= bucket {
        series.resize(bucket + 1, 0);
    }
    series[bucket] += 1;
}

impl Records {
    /// Of so many calls.
    #[must_use]
    pub fn new(calls: usize) -> Records {
        Records {
            arrived: Default::default(),
            sent: Vec::new(),
            probed: Vec::new(),
            left: Vec::new(),
            ended: vec![None; calls],
        }
    }

    /// An attempt of a call is sent.
    pub fn sends(&mut self, at: Time) {
        count(&mut self.sent, at);
    }

    /// A probe is sent.
    pub fn probes(&mut self, at: Time) {
        count(&mut self.probed, at);
    }

    /// A request has come to a side.
    pub fn arrives(&mut self, at: Time, role: Role, is_call: bool) {
        let [calls, all] = &mut self.arrived[index(role)];
        if is_call {
            count(calls, at);
        }
        count(all, at);
    }

    /// A client has left a side, which would have served it perhaps.
    pub fn leaves(&mut self, at: Time, is_false: bool) {
        self.left.push((at, is_false));
    }

    /// A call has ended.
    pub fn ends(&mut self, call: u32, at: Time, told: Told) {
        let ended = &mut self.ended[call as usize];
        assert!(ended.is_none(), "call {call} ends twice");
        *ended = Some((at, told));
    }
}

/// The figures of one disaster under one rule set.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The disaster.
    pub disaster: &'static str,
    /// The rule set.
    pub rules: &'static str,
    /// From the beginning of a client's first call in the disaster to its first answer since then:
    /// seconds of half of the clients, of all but one in a hundred, and of the last. `None`: never.
    pub recovered: [Option<f64>; 3],
    /// The same of those clients whose first call was a read, a guarded write, an unsafe one.
    pub recovered_of: [[Option<f64>; 3]; 3],
    /// Calls that began in the disaster…
    pub calls: u32,
    /// …those that ended with an error, in doubt or not…
    pub failed: u32,
    /// …and those that ended after more than five seconds.
    pub late: u32,
    /// Attempts and probes beyond one request a call, in percent…
    pub extra: f64,
    /// …and the probes alone.
    pub probes: f64,
    /// The most requests of calls at the primary and at the alternate within 100 ms, over the rate at
    /// which calls began then…
    pub peak: [f64; 2],
    /// The same in a second: where few clients are played, chance makes more of a hundred milliseconds.
    pub peak_second: [f64; 2],
    /// …when that was, in seconds from the beginning of the disaster…
    pub peak_at: [f64; 2],
    /// …and the same with probes.
    pub peak_with_probes: [f64; 2],
    /// How often a client left a side…
    pub switches: u32,
    /// …which would have served it.
    pub false_switches: u32,
    /// What became of the writes.
    pub writes: Verdict,
    /// By the second.
    #[serde(skip)]
    pub series: Series,
}

/// By the second, from the beginning.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Requests at the alternate, probes too, over the rate at which calls begin.
    pub alternate: Vec<f64>,
    /// The share of the calls that begin then and fail, or end late.
    pub hurt: Vec<f64>,
}

/// The figures of a run. `died`: when each side ended for good.
#[must_use]
pub fn figures(
    disaster: &Disaster,
    rules: &'static str,
    clients: u32,
    calls: &[Call],
    records: &Records,
    writes: Verdict,
) -> Figures {
    let from = bucket(disaster.begins);
    let within = |series: &[u32]| {
        series
            .iter()
            .skip(from)
            .map(|count| u64::from(*count))
            .sum::<u64>()
    };
    let concerned: Vec<_> = calls
        .iter()
        .zip(&records.ended)
        .filter(|(call, _)| call.at >= disaster.begins)
        .collect();
    let is = |test: &dyn Fn(Time, Time, Told) -> bool| {
        let count = concerned.iter().filter(|(call, ended)| {
            let (at, told) = ended.expect("every call ends");
            test(call.at, at, told)
        });
        count.count() as u32
    };
    let began = concerned.len() as u64;
    let probes = within(&records.probed);
    let requests = within(&records.sent) + probes;
    let last_bucket = bucket(disaster.ends) - 1;
    let peak = |series: &[u32]| {
        let over = |(bucket, count): (usize, &u32)| {
            let at = BUCKET * bucket as u32;
            f64::from(*count) / (rate(clients) * factor(disaster.rush, at) * BUCKET.as_secs_f64())
        };
        let buckets = series.iter().enumerate().take(last_bucket).skip(from);
        buckets.map(over).fold(0.0, f64::max)
    };
    let peak_second = |series: &[u32]| {
        let seconds = series[..series.len().min(last_bucket)]
            .chunks(10)
            .skip(from / 10);
        let over = |(second, counts): (usize, &[u32])| {
            let at = disaster.begins + Duration::from_secs(second as u64);
            f64::from(counts.iter().sum::<u32>()) / (rate(clients) * factor(disaster.rush, at))
        };
        seconds.enumerate().map(over).fold(0.0, f64::max)
    };
    let peak_at = |series: &[u32]| {
        let buckets = series.iter().enumerate().take(last_bucket).skip(from);
        let busiest = buckets.max_by_key(|(_, count)| **count);
        busiest.map_or(0.0, |(bucket, _)| {
            (bucket - from) as f64 * BUCKET.as_secs_f64()
        })
    };
    let [primary, alternate] = &records.arrived;
    let left = records.left.iter().filter(|(at, _)| *at >= disaster.begins);
    Figures {
        disaster: disaster.name,
        rules,
        recovered: recovered(disaster, clients, calls, records, &ALL),
        recovered_of: ALL.map(|one| recovered(disaster, clients, calls, records, &[one])),
        calls: began as u32,
        failed: is(&|_, _, told| told != Told::Answered),
        late: is(&|began, ended, _| ended - began > LATE),
        extra: (requests as f64 / began as f64 - 1.0) * 100.0,
        probes: probes as f64 / began as f64 * 100.0,
        peak: [peak(&primary[0]), peak(&alternate[0])],
        peak_second: [peak_second(&primary[0]), peak_second(&alternate[0])],
        peak_at: [peak_at(&primary[0]), peak_at(&alternate[0])],
        peak_with_probes: [peak(&primary[1]), peak(&alternate[1])],
        switches: left.clone().count() as u32,
        false_switches: left.filter(|(_, is_false)| *is_false).count() as u32,
        writes,
        series: series(disaster, clients, calls, records),
    }
}

/// Of the clients whose first call in the disaster is one of these.
fn recovered(
    disaster: &Disaster,
    clients: u32,
    calls: &[Call],
    records: &Records,
    operations: &[Operation],
) -> [Option<f64>; 3] {
    let mut first: Vec<Option<&Call>> = vec![None; clients as usize];
    let mut answered: Vec<Option<Time>> = vec![None; clients as usize];
    for (call, ended) in calls.iter().zip(&records.ended) {
        if call.at < disaster.begins || disaster.is_of_some && !is_cut_off(call.client) {
            continue;
        }
        let client = call.client as usize;
        first[client].get_or_insert(call);
        if let Some((at, Told::Answered)) = *ended {
            answered[client] = Some(answered[client].map_or(at, |answered| answered.min(at)));
        }
    }
    let took = |(first, answered): (&Option<&Call>, &Option<Time>)| {
        let first = first.filter(|first| operations.contains(&first.operation))?;
        Some(answered.map_or(Duration::MAX, |answered| answered - first.at))
    };
    let mut times: Vec<Duration> = first.iter().zip(&answered).filter_map(took).collect();
    times.sort_unstable();
    let at = |share: f64| {
        let last = times.len().checked_sub(1)?;
        let time = times[(last as f64 * share).round() as usize];
        (time < Duration::MAX).then_some(time.as_secs_f64())
    };
    [at(0.5), at(0.99), at(1.0)]
}

fn series(disaster: &Disaster, clients: u32, calls: &[Call], records: &Records) -> Series {
    let seconds = disaster.ends.as_secs() as usize;
    let mut began = vec![0.0; seconds];
    let mut hurt = vec![0.0; seconds];
    for (call, ended) in calls.iter().zip(&records.ended) {
        let second = call.at.as_secs() as usize;
        let (Some((at, told)), true) = (*ended, second < seconds) else {
            continue;
        };
        began[second] += 1.0;
        if told != Told::Answered || at - call.at > LATE {
            hurt[second] += 1.0;
        }
    }
    let mut alternate = vec![0.0; seconds];
    for (bucket, count) in records.arrived[1][1].iter().enumerate() {
        if let Some(second) = alternate.get_mut(bucket / 10) {
            *second += f64::from(*count) / rate(clients);
        }
    }
    for (hurt, began) in hurt.iter_mut().zip(began) {
        *hurt /= f64::max(began, 1.0);
    }
    Series { alternate, hurt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disaster::disasters;

    #[test]
    fn a_client_has_recovered_with_its_first_answer() {
        let disaster = &disasters()[0];
        let begins = disaster.begins;
        let second = Duration::from_secs(1);
        let calls = [(0, 0), (0, 1), (1, 0), (2, 0)].map(|(client, after)| Call {
            at: begins + second * after,
            client,
            operation: Operation::Read,
            service: second,
        });
        let mut records = Records::new(4);
        records.ends(0, begins + second * 9, Told::Failed);
        records.ends(1, begins + second * 3, Told::Answered);
        records.ends(2, begins + second * 2, Told::Answered);
        records.ends(3, begins + second * 7, Told::Failed);
        for at in [0, 10, 20, 30] {
            records.arrives(begins + Duration::from_millis(at), Role::Alternate, at > 0);
            records.sends(begins);
        }
        records.probes(begins);
        records.leaves(begins, true);
        let found = figures(disaster, "", 10, &calls, &records, Verdict::default());
        assert_eq!(found.recovered, [Some(3.0), None, None]);
        assert_eq!((found.calls, found.failed, found.late), (4, 2, 2));
        assert_eq!((found.switches, found.false_switches), (1, 1));
        // Ten clients begin half a call in 100 ms.
        assert_eq!((found.peak[1], found.peak_with_probes[1]), (6.0, 8.0));
        assert_eq!((found.extra, found.probes), (25.0, 25.0));
    }
}
