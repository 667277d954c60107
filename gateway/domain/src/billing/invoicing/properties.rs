//! Property test: in any order of charges, adjustments, status changes, runs and cancellations, nothing is billed twice or lost.

use std::collections::BTreeMap;

use billwire_schemas::{
    ids::{AccountId, BillCycleId, ChargeableEventId, fresh},
    money::Currency,
};
use chrono::TimeDelta;

use super::*;
use crate::{
    calendar::{PeriodUnit, RecurringPeriod},
    customers::{account, bill_cycle},
    usage::{
        adjustment::{self, ChargeType},
        chargeable_event::{self, ChargeableEvent, State as ChargeState},
    },
};

/// Reproducible pseudo-random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    fn amount(&mut self, most: u64) -> Decimal {
        Decimal::from_millionths(i64::try_from(1 + self.below(most)).expect("a small number"))
    }
}

/// One account and its objects, in memory.
struct World {
    dice: Dice,
    currency: Currency,
    account: Account,
    now: Timestamp,
    charges: Vec<ChargeableEvent>,
    adjustments: Vec<Adjustment>,
    fees: Vec<FeeItem>,
    credits: Vec<CreditItem>,
    invoices: Vec<Invoice>,
    given: Decimal,
}

fn sum(amounts: impl Iterator<Item = Decimal>) -> Decimal {
    amounts.fold(Decimal::ZERO, |sum, amount| sum.plus(amount).expect("in range"))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let now: Timestamp = "2027-01-10T10:00:00Z".parse().expect("a moment");
        let period = [PeriodUnit::Week, PeriodUnit::Month, PeriodUnit::Day][usize::try_from(seed % 3).expect("small")];
        let command = bill_cycle::Create {
            id: BillCycleId(fresh()),
            external_id: None,
            name: "cycle".into(),
            period,
            length: 1 + u32::try_from(dice.below(2)).expect("small"),
            individual: false,
            billing_day: period.billing_days().map(|_| 5),
            billing_month: None,
            announce_days: None,
            auto_run: None,
        };
        let cycle = bill_cycle::create(command, now).expect("a cycle").after;
        let code = ["EUR", "JPY", "KWD"][usize::try_from(dice.below(3)).expect("small")];
        let command = account::Create {
            id: AccountId(fresh()),
            external_id: None,
            name: "a".into(),
            currency: Some(code.into()),
            active: true,
            billing_day: None,
            company: None,
            payment_term_days: None,
            attributes: Default::default(),
        };
        let account = account::create(command, &cycle, &BillingSettings::default(), now).expect("an account").after;
        Self {
            dice,
            currency: code.parse().expect("a currency"),
            account,
            now,
            charges: Vec::new(),
            adjustments: Vec::new(),
            fees: Vec::new(),
            credits: Vec::new(),
            invoices: Vec::new(),
            given: Decimal::ZERO,
        }
    }

    fn today(&self) -> NaiveDate {
        self.now.date_naive()
    }

    fn charge(&mut self) {
        let occurred_at = self.now - TimeDelta::minutes(i64::try_from(self.dice.below(5000)).expect("small"));
        let amount = self.dice.amount(9_000_000);
        let command = chargeable_event::Record {
            id: ChargeableEventId(fresh()),
            external_id: None,
            service_id: None,
            usage_identifier_id: None,
            charge_type: ["data", "voice", "sms"][usize::try_from(self.dice.below(3)).expect("small")].into(),
            description: None,
            quantity: None,
            unit: None,
            amount: Money::new(amount, self.currency),
            occurred_at,
        };
        self.charges.push(chargeable_event::record(command, &self.account, false, self.now).expect("a charge").after);
    }

    fn adjust(&mut self) {
        if self.charges.is_empty() {
            return;
        }
        let index = usize::try_from(self.dice.below(self.charges.len() as u64)).expect("small");
        let command = adjustment::Create {
            id: AdjustmentId(fresh()),
            charge_type: if self.dice.below(3) == 0 { ChargeType::Debit } else { ChargeType::Credit },
            amount: Money::new(self.dice.amount(6_000_000), self.currency),
            tax_included: false,
            reason: "r".into(),
            user: None,
        };
        if let Ok((made, charge)) = chargeable_event::adjust(self.charges[index].clone(), command, &self.account, false, self.now) {
            self.adjustments.push(made.after);
            self.charges[index] = charge.after;
        }
    }

    fn credit(&mut self) {
        let coins = Decimal::units(i64::try_from(1 + self.dice.below(6)).expect("small"));
        self.given = self.given.plus(coins).expect("in range");
        self.credits.push(CreditItem { id: CreditId(fresh()), remaining: coins, reason: "r".into() });
    }

    fn subscribe(&mut self) {
        let from = self.today() - Days::new(self.dice.below(40));
        let fee = Decimal::units(i64::try_from(1 + self.dice.below(50)).expect("small"));
        let own = |unit, length| Some(RecurringPeriod { unit, length });
        let owns = [None, own(PeriodUnit::Day, 10), own(PeriodUnit::Week, 1), own(PeriodUnit::Month, 1)];
        let recurring_period = owns[usize::try_from(self.dice.below(4)).expect("small")];
        let fees = History::starting(from, FeeByDay { recurring_fee: Money::new(fee, self.currency), recurring_period });
        let id = PackageSubscriptionId(fresh());
        let billable = History::starting(from, true);
        self.fees.push(FeeItem { id, package: "p".into(), fees, start: from, from, until: None, billable });
    }

    fn unsubscribe(&mut self) {
        let today = self.today();
        if let Some(item) = self.fees.iter_mut().find(|item| item.until.is_none()) {
            item.until = Some(today.max(item.from));
        }
    }

    fn run(&mut self) {
        let date = self.today();
        let settings = BillingSettings::default();
        let limit = cutoff(&settings, date);
        let mut sums: BTreeMap<String, ChargeSum> = BTreeMap::new();
        for charge in self.charges.iter().filter(|c| c.state == ChargeState::Unbilled && c.occurred_at < limit) {
            let charge_type = charge.charge_type.clone();
            let entry = sums.entry(charge_type.clone()).or_insert(ChargeSum { charge_type, count: 0, sum: Some(Decimal::ZERO) });
            entry.count += 1;
            entry.sum = entry.sum.and_then(|sum| sum.plus(charge.net_amount.amount));
        }
        let unbilled = Unbilled {
            charges: sums.into_values().collect(),
            fees: self.fees.clone(),
            adjustments: self.adjustments.iter().filter(|a| a.state == adjustment::State::Pending).cloned().collect(),
            credits: self.credits.clone(),
        };
        let bill = bill(&self.account, fees_until(&self.account, date), &unbilled, &[]).expect("a bill");
        assert!(!bill.total.amount.is_negative(), "the total is never negative");
        assert_eq!(bill.total.amount, sum(bill.lines.iter().map(|line| line.amount.amount)), "the total is the sum of the lines");
        let earlier = i64::try_from(self.invoices.len()).expect("small");
        let command = Post { id: InvoiceId(fresh()), earlier, kind: Kind::Cycle, bill_run_id: None, cutoff: limit };
        let id = command.id;
        for (id, until) in &bill.fees {
            self.fees.iter_mut().find(|item| item.id == *id).expect("a subscription").from = *until;
        }
        if let Some(moved) = move_on(&self.account, date, self.now) {
            self.account = moved.after;
        }
        let Some(invoice) = post(&command, &self.account, &settings, &bill, self.now) else { return };
        self.invoices.push(invoice.after);
        for charge in self.charges.iter_mut().filter(|c| c.state == ChargeState::Unbilled && c.occurred_at < limit) {
            (charge.state, charge.invoice_id) = (ChargeState::Billed, Some(id));
        }
        for (adjustment, part) in &bill.adjustments {
            let one = self.adjustments.iter_mut().find(|one| one.id == *adjustment).expect("an adjustment");
            *one = adjustment::billed(one.clone(), *part, id, self.now).after;
        }
        for (id, part) in &bill.credits {
            let credit = self.credits.iter_mut().find(|credit| credit.id == *id).expect("a credit");
            credit.remaining = credit.remaining.minus(*part).expect("in range");
        }
    }

    /// Cancels the latest live invoice, as `cancelInvoice` does. Adjustments of its charges become part of the charges again.
    fn cancel(&mut self) {
        let Some(invoice) = self.invoices.iter_mut().rfind(|invoice| invoice.status != Status::Cancelled) else { return };
        invoice.status = Status::Cancelled;
        let (id, undone) = (invoice.id, undo(&invoice.lines));
        for (id, from) in undone.fees {
            self.fees.iter_mut().find(|item| item.id == id).expect("a subscription").from = from;
        }
        for (id, part) in undone.credits {
            let credit = self.credits.iter_mut().find(|credit| credit.id == id).expect("a credit");
            credit.remaining = credit.remaining.plus(part).expect("in range");
        }
        for (adjustment, part) in undone.adjustments {
            let one = self.adjustments.iter_mut().find(|one| one.id == adjustment).expect("an adjustment");
            *one = adjustment::given_back(one.clone(), part, self.now).after;
        }
        for charge in self.charges.iter_mut().filter(|charge| charge.invoice_id == Some(id)) {
            (charge.state, charge.invoice_id) = (ChargeState::Unbilled, None);
            let of_charge = |one: &&mut Adjustment| one.chargeable_event_id == charge.id && one.state == adjustment::State::Pending;
            for one in self.adjustments.iter_mut().filter(of_charge) {
                *one = adjustment::applied(one.clone(), self.now).after;
            }
        }
    }

    fn live_lines(&self) -> impl Iterator<Item = &Line> {
        self.invoices.iter().filter(|invoice| invoice.status != Status::Cancelled).flat_map(|invoice| &invoice.lines)
    }

    fn check(&self) {
        let signed = |one: &Adjustment, amount: Decimal| if one.charge_type == ChargeType::Debit { amount } else { amount.negated() };
        let recorded = sum(self.charges.iter().map(|charge| charge.amount.amount));
        let adjusted = sum(self.adjustments.iter().map(|one| signed(one, one.amount.amount)));
        let unbilled = sum(self.charges.iter().filter(|c| c.state == ChargeState::Unbilled).map(|c| c.net_amount.amount));
        let pending = self.adjustments.iter().filter(|one| one.state == adjustment::State::Pending);
        let pending = sum(pending.map(|one| signed(one, one.unbilled())));
        let is_fee = |line: &&Line| matches!(line.about, About::Fee { .. });
        let is_credit = |line: &&Line| matches!(line.about, About::Credit { .. });
        let fees = sum(self.live_lines().filter(is_fee).map(|line| line.exact));
        let taken = sum(self.live_lines().filter(is_credit).map(|line| line.exact));
        let billed = sum(self.live_lines().map(|line| line.exact));
        let all = |parts: &[Decimal]| sum(parts.iter().copied());
        assert_eq!(all(&[billed, unbilled, pending]), all(&[recorded, adjusted, fees, taken]), "charges and adjustments, once each");
        let left = sum(self.credits.iter().map(|credit| credit.remaining));
        assert_eq!(left, all(&[self.given, taken]), "what credits have left is what was given less what invoices took");
        for item in &self.fees {
            self.check_days(item);
        }
    }

    /// Each billed day of the subscription is on exactly one live line and costs the right amount.
    fn check_days(&self, item: &FeeItem) {
        let mut periods: Vec<(Period, Decimal)> = self
            .live_lines()
            .filter_map(|line| match &line.about {
                About::Fee { package_subscription_id, period } if *package_subscription_id == item.id => Some((*period, line.exact)),
                _ => None,
            })
            .collect();
        periods.sort_by_key(|(period, _)| period.start);
        for two in periods.windows(2) {
            assert_eq!(two[0].0.end, two[1].0.start, "no day twice, none left out");
        }
        if let Some((last, _)) = periods.last() {
            assert_eq!(last.end, item.from, "billed up to the first unbilled day");
        }
        for (period, exact) in periods {
            let fee = item.fees.last().expect("a fee").recurring_fee.amount;
            let cost = (1..=62).find(|full| fee.times(period.days(), *full) == Some(exact));
            assert!(cost.is_some_and(|full| period.days() <= full), "{period:?} costs {exact} of {fee}");
        }
    }
}

#[test]
fn invoices_hold_everything_once_whatever_the_order_of_events() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..120 {
            match world.dice.below(16) {
                0..=4 => world.charge(),
                5..=7 => world.adjust(),
                8 => world.credit(),
                9 => world.subscribe(),
                10 if world.dice.below(3) == 0 => world.unsubscribe(),
                11 | 12 => world.run(),
                13 => world.cancel(),
                _ => world.now += TimeDelta::hours(i64::try_from(world.dice.below(200)).expect("small")),
            }
            world.check();
        }
        assert!(!world.invoices.is_empty(), "seed {seed} billed something");
    }
}

#[test]
fn billing_again_after_a_cancellation_costs_the_same() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        for _ in 0..5 {
            world.charge();
            world.subscribe();
        }
        world.now += TimeDelta::days(i64::try_from(world.dice.below(100)).expect("small"));
        world.run();
        let Some(first) = world.invoices.last().map(|invoice| invoice.lines.clone()) else { continue };
        world.cancel();
        world.run();
        let again = world.invoices.last().expect("an invoice");
        assert_eq!(again.lines, first, "seed {seed}");
    }
}
