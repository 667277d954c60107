//! Histories: what held on which day. A bill is computed from what was true on the days it covers, not from what is true when it is made.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::calendar::Period;

/// The most entries that are kept, enough for a change each day over two and a half years. Older days then count as the oldest entry kept.
const ENTRIES_MAX: usize = 1_000;

/// A value and the first day it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dated<T> {
    /// The first day, in the tenant's time zone.
    pub from: NaiveDate,
    /// The value.
    #[serde(flatten)]
    pub value: T,
}

/// Values by day. Each holds until the next begins; the first also holds on all earlier days, the last on all later ones. Where a value
/// changes several times in a day, the last one counts for the whole day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History<T>(Vec<Dated<T>>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone + PartialEq> History<T> {
    /// One that begins with this value.
    pub fn starting(from: NaiveDate, value: T) -> Self {
        Self(vec![Dated { from, value }])
    }

    /// Whether nothing is known, as for objects of versions that kept no history.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From `from` on it is `value`; what was known of later days no longer holds.
    pub fn set(&mut self, from: NaiveDate, value: T) {
        self.0.retain(|entry| entry.from < from);
        if self.0.last().is_none_or(|last| last.value != value) {
            self.0.push(Dated { from, value });
        }
        let over = self.0.len().saturating_sub(ENTRIES_MAX);
        self.0.drain(..over);
    }

    /// The same days with other values.
    pub fn map<U: Clone + PartialEq>(&self, of: impl Fn(&T) -> U) -> History<U> {
        let mut mapped = History::default();
        self.0.iter().for_each(|entry| mapped.set(entry.from, of(&entry.value)));
        mapped
    }

    /// The same, of an object that was `before` since the day it was `created`, if nothing is known of it.
    pub fn set_after(&mut self, created: NaiveDate, before: T, from: NaiveDate, value: T) {
        if self.is_empty() {
            *self = Self::starting(created, before);
        }
        self.set(from, value);
    }

    /// The first day of the oldest entry.
    pub fn begins(&self) -> Option<NaiveDate> {
        self.0.first().map(|first| first.from)
    }

    /// The newest value.
    pub fn last(&self) -> Option<&T> {
        self.0.last().map(|last| &last.value)
    }

    /// The parts of `days`, oldest first, each with the entry that holds then.
    pub fn within(&self, days: Period) -> impl Iterator<Item = (Period, &Dated<T>)> {
        self.0.iter().enumerate().filter_map(move |(index, entry)| {
            let start = if index == 0 { days.start } else { entry.from };
            let end = self.0.get(index + 1).map_or(days.end, |next| next.from);
            Some((Period { start, end }.within(days)?, entry))
        })
    }

    /// The entry that holds on `day`, and the first day on which it no longer does.
    pub fn on(&self, day: NaiveDate) -> Option<(&Dated<T>, Option<NaiveDate>)> {
        let next = self.0.iter().skip(1).position(|entry| entry.from > day).map_or(self.0.len(), |index| index + 1);
        Some((self.0.get(next.checked_sub(1)?)?, self.0.get(next).map(|next| next.from)))
    }
}

impl History<bool> {
    /// True on the days on which both are.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut days: Vec<NaiveDate> = self.0.iter().chain(&other.0).map(|entry| entry.from).collect();
        days.sort_unstable();
        let on = |history: &Self, day| history.on(day).is_some_and(|(entry, _)| entry.value);
        let mut both = Self::default();
        days.into_iter().for_each(|day| both.set(day, on(self, day) && on(other, day)));
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2027, 6, number).expect("a day")
    }

    fn days(start: u32, end: u32) -> Period {
        Period { start: day(start), end: day(end) }
    }

    #[test]
    fn each_value_holds_until_the_next_and_the_first_also_before() {
        let mut history = History::starting(day(10), 'a');
        history.set(day(15), 'b');
        let parts: Vec<_> = history.within(days(1, 20)).map(|(days, entry)| (days, entry.value)).collect();
        assert_eq!(parts, [(days(1, 15), 'a'), (days(15, 20), 'b')]);
        let on = |number| history.on(day(number)).map(|(entry, until)| (entry.value, until));
        assert_eq!((on(1), on(14)), (Some(('a', Some(day(15)))), Some(('a', Some(day(15))))));
        assert_eq!((on(15), on(30)), (Some(('b', None)), Some(('b', None))));
    }

    #[test]
    fn the_last_change_of_a_day_counts_for_the_day() {
        let mut history = History::starting(day(10), 'a');
        for value in ['b', 'c'] {
            history.set(day(15), value);
        }
        assert_eq!(history.within(days(14, 16)).map(|(_, entry)| entry.value).collect::<Vec<_>>(), ['a', 'c']);
        history.set(day(15), 'a');
        assert_eq!(history, History::starting(day(10), 'a'), "back on the same day, nothing has changed");
        history.set(day(10), 'd');
        assert_eq!(history, History::starting(day(10), 'd'));
    }

    #[test]
    fn a_change_replaces_what_was_planned_after_it() {
        let mut history = History::starting(day(1), 'a');
        history.set(day(20), 'b');
        history.set(day(10), 'c');
        assert_eq!(history.within(days(1, 30)).map(|(_, entry)| entry.value).collect::<Vec<_>>(), ['a', 'c']);
    }

    #[test]
    fn both_are_true_where_each_is() {
        let (mut one, mut other) = (History::starting(day(10), true), History::starting(day(1), false));
        one.set(day(20), false);
        other.set(day(15), true);
        let parts: Vec<_> = one.and(&other).within(days(1, 30)).map(|(days, entry)| (days, entry.value)).collect();
        assert_eq!(parts, [(days(1, 15), false), (days(15, 20), true), (days(20, 30), false)]);
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let mut history = History::default();
        for number in 0..2 * ENTRIES_MAX as u64 {
            history.set(day(1) + chrono::Days::new(number), number);
        }
        assert_eq!(history.0.len(), ENTRIES_MAX);
        assert_eq!(history.0.first().map(|first| first.value), Some(ENTRIES_MAX as u64));
    }

    #[test]
    fn on_the_wire_it_is_a_list_of_the_values_with_their_first_day() {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct Named {
            name: String,
        }
        let history = History::starting(day(1), Named { name: "a".into() });
        let json = serde_json::json!([{ "from": "2027-06-01", "name": "a" }]);
        assert_eq!(serde_json::to_value(&history).expect("JSON"), json);
        assert_eq!(serde_json::from_value::<History<Named>>(json).expect("a history"), history);
    }
}
