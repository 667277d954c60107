//! Filters of lists of objects.

use billwire_domain::Entity;
use billwire_schemas::{clock::Timestamp, ids::TenantId};
use chrono::NaiveDate;
use sea_orm::{
    Condition,
    sea_query::{Alias, Expr, ExprTrait, LikeExpr, SimpleExpr},
};
use uuid::Uuid;

use crate::{attributes, batching::filled, micros};

/// A column by its name.
pub(crate) fn column(name: &'static str) -> SimpleExpr {
    Expr::col(Alias::new(name))
}

/// A date in a column: days since 1970-01-01.
pub(crate) fn days(date: NaiveDate) -> i64 {
    (date - NaiveDate::default()).num_days()
}

/// The last character, after which no text of a prefix comes.
const LAST: char = char::MAX;

/// A filter of a list. Columns are the noun's own or the base columns.
#[derive(Debug, Clone)]
pub struct Filter(Condition);

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

impl Filter {
    /// Everything of the tenant.
    pub fn new() -> Self {
        Self(Condition::all())
    }

    /// Only where the column is this text, if one is given.
    #[must_use]
    pub fn is(self, name: &'static str, text: Option<&str>) -> Self {
        self.add(text.map(|text| column(name).eq(text)))
    }

    /// Only where the column is another text.
    #[must_use]
    pub fn is_not(self, name: &'static str, text: &str) -> Self {
        self.add(Some(column(name).ne(text)))
    }

    /// Only where the column is this id, if one is given.
    #[must_use]
    pub fn is_id(self, name: &'static str, id: Option<Uuid>) -> Self {
        self.add(id.map(|id| column(name).eq(id)))
    }

    /// Only where the column is one of these texts.
    #[must_use]
    pub fn any_of(self, name: &'static str, texts: &[&str]) -> Self {
        self.add(Some(column(name).is_in(filled(texts))))
    }

    /// Only where the column is one of these ids.
    #[must_use]
    pub fn any_id_of(self, name: &'static str, ids: &[Uuid]) -> Self {
        self.add(Some(column(name).is_in(filled(ids))))
    }

    /// Only objects created after the one with this id.
    #[must_use]
    pub fn after(self, id: Uuid) -> Self {
        self.add(Some(column("id").gt(id)))
    }

    /// Only where the column is this flag, if one is given.
    #[must_use]
    pub fn is_flag(self, name: &'static str, flag: Option<bool>) -> Self {
        self.add(flag.map(|flag| column(name).eq(flag)))
    }

    /// Only where the column has a value, or has none, if either is requested.
    #[must_use]
    pub fn has(self, name: &'static str, wanted: Option<bool>) -> Self {
        self.add(wanted.map(|wanted| if wanted { column(name).is_not_null() } else { column(name).is_null() }))
    }

    /// Only where the column is at least this number, if one is given.
    #[must_use]
    pub fn at_least(self, name: &'static str, number: Option<i64>) -> Self {
        self.add(number.map(|number| column(name).gte(number)))
    }

    /// Only where the column is below this number, if one is given.
    #[must_use]
    pub fn below(self, name: &'static str, number: Option<i64>) -> Self {
        self.add(number.map(|number| column(name).lt(number)))
    }

    /// Only from this moment on, if one is given.
    #[must_use]
    pub fn since(self, name: &'static str, moment: Option<Timestamp>) -> Self {
        self.at_least(name, moment.map(micros))
    }

    /// Only before this moment, if one is given.
    #[must_use]
    pub fn until(self, name: &'static str, moment: Option<Timestamp>) -> Self {
        self.below(name, moment.map(micros))
    }

    /// Only from this date on, if one is given.
    #[must_use]
    pub fn since_day(self, name: &'static str, date: Option<NaiveDate>) -> Self {
        self.at_least(name, date.map(days))
    }

    /// Only before this date, if one is given.
    #[must_use]
    pub fn until_day(self, name: &'static str, date: Option<NaiveDate>) -> Self {
        self.below(name, date.map(days))
    }

    /// Only where the column, which holds lower-case text in byte order, begins with this text, if one is given.
    #[must_use]
    pub fn begins(self, name: &'static str, text: Option<&str>) -> Self {
        let text = text.map(str::to_lowercase);
        let last = text.as_ref().map(|text| format!("{text}{LAST}"));
        self.add(text.map(|text| column(name).gte(text))).add(last.map(|last| column(name).lt(last)))
    }

    /// Only where the column, which holds lower-case text, contains this text, if one is given.
    #[must_use]
    pub fn contains(self, name: &'static str, text: Option<&str>) -> Self {
        self.add(text.map(|text| {
            let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            column(name).like(LikeExpr::new(format!("%{escaped}%")).escape('\\'))
        }))
    }

    /// Only objects of this noun with all of these attributes, given as name and text.
    #[must_use]
    pub fn attributes<T: Entity>(self, tenant: &TenantId, wanted: &[(&str, &str)]) -> Self {
        self.add((!wanted.is_empty()).then(|| column("id").in_subquery(attributes::with(tenant, T::TYPE, wanted))))
    }

    fn add(self, more: Option<SimpleExpr>) -> Self {
        match more {
            Some(more) => Self(self.0.add(more)),
            None => self,
        }
    }

    /// The condition, with that on the tenant.
    pub(crate) fn of(self, tenant: &TenantId) -> Condition {
        Condition::all().add(column("tenant").eq(tenant.as_str())).add(self.0)
    }
}
