//! The circuit breaker of one target. Pure: from outcomes and moments it decides how many calls may be in flight.
//!
//! Closed, it admits all calls. After many failures it opens and admits none for a while; then one call probes whether the target works
//! again. If so, the number of calls grows with each success, so that the backlog does not arrive all at once; if not, the wait doubles.
//!
//! Calls that are in flight together fail together when a connection breaks or the receiver restarts. That is one incident, and says nothing
//! about the next call: a circuit opens only when a call failed too that began after an earlier failure was known.

use std::time::Duration;

use billwire_schemas::clock::Timestamp;
use chrono::TimeDelta;

/// When a circuit breaker opens, and for how long.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The number of consecutive failures, of two incidents or more, that opens it. Default 10.
    pub in_a_row: u32,
    /// How long it is open the first time; each further time doubles that. Default 60 s.
    pub wait: Duration,
    /// The longest it is open. Default 15 min.
    pub wait_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { in_a_row: 10, wait: Duration::from_secs(60), wait_max: Duration::from_secs(15 * 60) }
    }
}

/// How many of the latest successes and incidents are remembered; it also opens when more than half of them are incidents.
const REMEMBERED: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Timestamp },
    Growing { allowed: usize },
}

/// Whether calls are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Up to this many at a time.
    UpTo(usize),
    /// None until this moment.
    Shut(Timestamp),
    /// One, as a probe of whether the target works again.
    OneProbe,
}

/// How many incidents were known when a call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Incidents(u64);

/// A circuit breaker.
#[derive(Debug)]
pub struct Circuit {
    state: State,
    in_a_row: u32,
    incidents: Incidents,
    /// The incident with which the row began.
    row: Incidents,
    /// The latest successes and incidents, a bit each: 1 is an incident.
    latest: u32,
    seen: u32,
    /// How long it was open last; zero since it closed.
    waited: Duration,
}

impl Default for Circuit {
    fn default() -> Self {
        let (incidents, row) = Default::default();
        Self { state: State::Closed, in_a_row: 0, incidents, row, latest: 0, seen: 0, waited: Duration::ZERO }
    }
}

impl Circuit {
    /// One that was open when the program stopped.
    pub fn opened(until: Timestamp, waited: Duration) -> Self {
        Self { state: State::Open { until }, waited, ..Self::default() }
    }

    /// How many calls may be in flight at `now`; `max` is the limit of a healthy target.
    pub fn admission(&self, now: Timestamp, max: usize, settings: &Settings) -> Admission {
        match self.state {
            State::Closed => Admission::UpTo(max),
            State::Growing { allowed } => Admission::UpTo(allowed.min(max)),
            // A clock that was set back must not keep it open.
            State::Open { until } if now < until && until - now <= delta(settings.wait_max) => Admission::Shut(until),
            State::Open { .. } => Admission::OneProbe,
        }
    }

    /// Until when it is open and how long it was opened for, where it is.
    pub fn open(&self) -> Option<(Timestamp, Duration)> {
        match self.state {
            State::Open { until } => Some((until, self.waited)),
            _ => None,
        }
    }

    /// A call succeeded.
    pub fn succeeded(&mut self, now: Timestamp, max: usize, settings: &Settings) {
        self.in_a_row = 0;
        self.remember(0);
        self.state = match self.state {
            // The answer to a call from before it opened.
            State::Open { .. } if self.admission(now, max, settings) != Admission::OneProbe => return,
            State::Open { .. } => {
                (self.latest, self.seen) = (0, 0);
                State::Growing { allowed: 2 }
            }
            State::Growing { allowed } if allowed + 1 < max => State::Growing { allowed: allowed + 1 },
            State::Growing { .. } | State::Closed => {
                self.waited = Duration::ZERO;
                State::Closed
            }
        };
    }

    /// The incidents so far, for a call that begins.
    pub fn incidents(&self) -> Incidents {
        self.incidents
    }

    /// A call failed that began when the incidents were `known`. Says whether that opened the circuit, or keeps it open for longer.
    pub fn failed(&mut self, known: Incidents, now: Timestamp, max: usize, settings: &Settings) -> bool {
        let another = known == self.incidents;
        if another {
            self.incidents.0 += 1;
            self.remember(1);
        }
        if self.in_a_row == 0 {
            self.row = self.incidents;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let row = self.in_a_row >= settings.in_a_row && known >= self.row;
        let half = another && self.seen >= REMEMBERED && self.latest.count_ones() * 2 > REMEMBERED;
        match self.state {
            State::Open { .. } if self.admission(now, max, settings) != Admission::OneProbe => return false,
            State::Open { .. } => {}
            State::Closed | State::Growing { .. } if row || half => {}
            State::Growing { .. } if !another => return false,
            State::Growing { allowed } => {
                self.state = State::Growing { allowed: (allowed / 2).max(1) };
                return false;
            }
            State::Closed => return false,
        }
        self.shut(now, settings);
        true
    }

    /// Opens it.
    pub fn shut(&mut self, now: Timestamp, settings: &Settings) {
        self.waited = (self.waited * 2).clamp(settings.wait, settings.wait_max);
        self.state = State::Open { until: now + delta(self.waited) };
    }

    fn remember(&mut self, bit: u32) {
        self.latest = (self.latest << 1 | bit) & ((1 << REMEMBERED) - 1);
        self.seen = (self.seen + 1).min(REMEMBERED);
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a moment")
    }

    /// A call fails that began after all earlier ones had ended.
    fn fail(circuit: &mut Circuit, now: Timestamp, settings: &Settings) -> bool {
        circuit.failed(circuit.incidents(), now, MAX, settings)
    }

    fn opened() -> (Circuit, Settings) {
        let (mut circuit, settings) = (Circuit::default(), Settings::default());
        for _ in 0..9 {
            assert!(!fail(&mut circuit, at(0), &settings));
        }
        assert!(fail(&mut circuit, at(0), &settings));
        (circuit, settings)
    }

    #[test]
    fn any_number_of_calls_that_fail_together_are_one_incident_and_do_not_open_it() {
        let (mut circuit, settings) = (Circuit::default(), Settings::default());
        for round in 0..10 {
            let together = circuit.incidents();
            for _ in 0..64 {
                assert!(!circuit.failed(together, at(round), MAX, &settings));
            }
            for _ in 0..2 {
                circuit.succeeded(at(round), MAX, &settings);
            }
        }
        let together = circuit.incidents();
        assert!((0..64).all(|_| !circuit.failed(together, at(10), MAX, &settings)));
        assert!(fail(&mut circuit, at(11), &settings), "the next call fails too: it is not over");
    }

    #[test]
    fn an_incident_halves_the_number_of_calls_of_a_recovering_target_once() {
        let (mut circuit, settings) = opened();
        for _ in 0..5 {
            circuit.succeeded(at(60), MAX, &settings);
        }
        let together = circuit.incidents();
        for _ in 0..6 {
            circuit.failed(together, at(61), MAX, &settings);
        }
        assert_eq!(circuit.admission(at(61), MAX, &settings), Admission::UpTo(3));
    }

    #[test]
    fn ten_failures_in_a_row_open_it_for_a_minute_and_then_one_call_tries() {
        let (circuit, settings) = opened();
        assert_eq!(circuit.admission(at(59), MAX, &settings), Admission::Shut(at(60)));
        assert_eq!(circuit.admission(at(60), MAX, &settings), Admission::OneProbe);
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        let (mut circuit, settings) = opened();
        let (mut now, mut waits) = (at(60), Vec::new());
        for _ in 0..6 {
            assert!(fail(&mut circuit, now, &settings));
            let Admission::Shut(until) = circuit.admission(now, MAX, &settings) else { panic!("it should be shut") };
            waits.push((until - now).num_seconds());
            now = until;
        }
        assert_eq!(waits, [120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn after_a_good_probe_the_number_of_calls_grows_with_each_success() {
        let (mut circuit, settings) = opened();
        let mut allowed = Vec::new();
        for _ in 0..8 {
            circuit.succeeded(at(60), MAX, &settings);
            if let Admission::UpTo(now) = circuit.admission(at(60), MAX, &settings) {
                allowed.push(now);
            }
        }
        assert_eq!(allowed, [2, 3, 4, 5, 6, 7, 8, 8]);
        for _ in 0..10 {
            fail(&mut circuit, at(70), &settings);
        }
        assert_eq!(circuit.admission(at(70), MAX, &settings), Admission::Shut(at(130)), "closed in between, it waits as long as at first");
    }

    #[test]
    fn more_than_half_of_the_latest_twenty_failing_opens_it_and_half_does_not() {
        let settings = Settings::default();
        let mut half = Circuit::default();
        let mut more = Circuit::default();
        for round in 0..30 {
            fail(&mut half, at(round), &settings);
            half.succeeded(at(round), MAX, &settings);
            fail(&mut more, at(round), &settings);
            fail(&mut more, at(round), &settings);
            more.succeeded(at(round), MAX, &settings);
        }
        assert_eq!(half.open(), None);
        assert!(more.open().is_some());
    }

    #[test]
    fn answers_to_calls_from_before_it_opened_change_nothing() {
        let (mut circuit, settings) = opened();
        circuit.succeeded(at(1), MAX, &settings);
        assert!(!fail(&mut circuit, at(2), &settings));
        assert_eq!(circuit.admission(at(3), MAX, &settings), Admission::Shut(at(60)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let (circuit, settings) = opened();
        assert_eq!(circuit.admission(at(-100_000), MAX, &settings), Admission::OneProbe);
    }
}
