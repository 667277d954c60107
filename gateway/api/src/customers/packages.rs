//! Packages.

use billwire_app::{
    CreatePackage, DeletePackage, Filter, UpdatePackage,
    domain::{calendar, customers::package},
};
use billwire_schemas::ids::{PackageId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::{
        money::{Money, MoneyInput},
        nullable::Nullable,
        scalars::{Currency, Description, ExternalId, Moment, Name, PeriodLength, PeriodUnit, Reference},
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Products with a recurring fee that accounts can subscribe to.
    #[oai(rename = "Packages")]
    Packages,
}

pub(crate) struct Packages;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createPackage",
        "packages:write",
        &[
            Code::ExternalIdTaken,
            Code::CurrencyUnknown,
            Code::AmountInvalid,
            Code::AmountOutOfRange,
            Code::AmountNegative,
            Code::AmountTooFine,
        ],
        created("package", "Package", &["package.created"]),
    ),
    list("listPackages", "packages:read"),
    get("getPackage", "packages:read", &[Code::PackageNotFound]),
    change(
        "updatePackage",
        "packages:write",
        &[
            Code::PackageNotFound,
            Code::ExternalIdTaken,
            Code::CurrencyUnknown,
            Code::CurrencyMismatch,
            Code::AmountInvalid,
            Code::AmountOutOfRange,
            Code::AmountNegative,
            Code::AmountTooFine,
        ],
        updated("package", "Package", &["package.updated"]),
    ),
    delete("deletePackage", "packages:write", &[Code::PackageNotFound, Code::StillInUse], "package", "Package"),
];

/// What a fee is for, if not for a billing period of the account. Full periods are counted from each subscription's start date; one of months or
/// years begins on the same day of the month, or on the last day of a month that is too short. Fees are billed with the account's billing periods
/// all the same: each line is the days of one own period within one billing period, prorated against the days of the full own period.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct RecurringPeriodInput {
    /// Unit of the period.
    unit: PeriodUnit,
    /// Length of the period, in units.
    #[oai(default = "one_unit")]
    length: PeriodLength,
}

fn one_unit() -> PeriodLength {
    PeriodLength(1)
}

impl RecurringPeriodInput {
    fn command(self) -> calendar::RecurringPeriod {
        calendar::RecurringPeriod { unit: self.unit.into(), length: self.length.0 }
    }
}

/// The package to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PackageInput {
    /// External id: the id in your system; unique among packages. Operations accept it in place of the id.
    external_id: Option<ExternalId>,
    /// Display name.
    name: Name,
    /// Description of the package.
    description: Option<Description>,
    /// Fee per billing period or `recurringPeriod`, in whole minor units of the currency; may be zero. Only accounts with this currency can
    /// subscribe to the package.
    recurring_fee: MoneyInput,
    /// What the fee is for, such as a month for accounts that are billed weekly. Absent: a billing period of the account's bill cycle.
    recurring_period: Option<RecurringPeriodInput>,
}

impl Validate for PackageInput {}

impl Example for PackageInput {
    fn example() -> Self {
        Self {
            external_id: Some("FLEET-L".into()),
            name: "Fleet L".into(),
            description: Some("Up to 200 vehicles".into()),
            recurring_fee: MoneyInput::example(),
            recurring_period: None,
        }
    }
}

/// Changes to a package. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PackageUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Display name.
    name: Option<Name>,
    /// Description of the package.
    description: Nullable<Description>,
    /// Fee per billing period or `recurringPeriod`, in the same currency as before. Applies from today on, in the tenant's time zone.
    recurring_fee: Option<MoneyInput>,
    /// What the fee is for; null: a billing period of the account's bill cycle. Applies from today on, in the tenant's time zone.
    recurring_period: Nullable<RecurringPeriodInput>,
}

impl Validate for PackageUpdate {}

impl Example for PackageUpdate {
    fn example() -> Self {
        Self {
            external_id: Nullable::default(),
            name: None,
            description: Nullable::default(),
            recurring_fee: Some(MoneyInput::of("11.90", "EUR")),
            recurring_period: RecurringPeriodInput { unit: PeriodUnit::Month, length: one_unit() }.into(),
        }
    }
}

/// What a fee is for, counted from each subscription's start date.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct RecurringPeriod {
    /// Unit of the period: `day`, `week`, `month` or `year`.
    unit: String,
    /// Length of the period, in units.
    length: u32,
}

/// A fee and the first day it applied.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct FeeFrom {
    /// First day, in the tenant's time zone. The earliest fee also applies to the days before.
    from: NaiveDate,
    /// Fee per billing period or `recurringPeriod`.
    recurring_fee: Money,
    /// What the fee is for; absent: a billing period of the account's bill cycle.
    recurring_period: Option<RecurringPeriod>,
}

/// Products with a recurring fee that accounts can subscribe to.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Package {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Display name.
    name: String,
    /// Description of the package.
    description: Option<String>,
    /// Currency of the fee, and of the accounts that can subscribe to the package.
    currency: String,
    /// Fee per billing period of the account's bill cycle, or per `recurringPeriod`.
    recurring_fee: Money,
    /// What the fee is for; absent: a billing period of the account's bill cycle.
    recurring_period: Option<RecurringPeriod>,
    /// The fee and its period by day, oldest first, up to the latest 1 000 changes. Absent until the fee of a package from a version without it changes.
    fee_history: Option<Vec<FeeFrom>>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Package {
    fn example() -> Self {
        Self {
            id: example_id(11),
            version: 1,
            external_id: Some("FLEET-M".to_owned()),
            name: "Fleet M".to_owned(),
            description: Some("Up to 50 vehicles".to_owned()),
            currency: "EUR".to_owned(),
            recurring_fee: Money::example(),
            recurring_period: None,
            fee_history: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Packages")]
impl Packages {
    /// Create a package
    ///
    /// A package is a product that accounts subscribe to, with a fee for each billing period, or for each period of its own.
    #[oai(path = "/packages", method = "post", operation_id = "createPackage")]
    async fn create(&self, context: Context, input: Validated<PackageInput>) -> Result<Created, Problem> {
        let new = input.body;
        let create = package::Create {
            id: PackageId(fresh()),
            recurring_fee: new.recurring_fee.exact("/recurringFee")?,
            recurring_period: new.recurring_period.map(RecurringPeriodInput::command),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            description: new.description.map(|text| text.0),
        };
        let reply = context.execute(input.canonical.as_deref(), CreatePackage(create)).await?;
        Ok(Created::under("/v1/packages", reply))
    }

    /// List packages
    ///
    /// Oldest first.
    #[oai(path = "/packages", method = "get", operation_id = "listPackages")]
    async fn list(
        &self,
        context: Context,
        /// Only packages with this currency.
        currency: Query<Currency>,
    ) -> Result<Listed<Package>, Problem> {
        let filter = Filter::new().is("currency", currency.0.as_ref().map(|currency| currency.0.as_str()));
        Listed::objects::<package::Package>(&context, filter).await
    }

    /// Get a package
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/packages/:package", method = "get", operation_id = "getPackage")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the package.
        package: Path<Reference>,
    ) -> Result<Found<Package>, Problem> {
        Found::of(&context.app().get::<package::Package>(context.tenant(), &package.0.0).await?, &known)
    }

    /// Change a package
    ///
    /// Absent members keep their values; null unsets a member. A new fee or period applies from today on, in the tenant's time zone, also to existing subscriptions: a period that is running has a line for each of them.
    #[oai(path = "/packages/:package", method = "patch", operation_id = "updatePackage")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the package.
        package: Path<Reference>,
        input: Validated<PackageUpdate>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let command = package::Update {
            external_id: wanted.external_id.map(|id| id.0),
            recurring_fee: wanted.recurring_fee.map(|fee| fee.exact("/recurringFee")).transpose()?,
            recurring_period: wanted.recurring_period.map(RecurringPeriodInput::command),
            name: wanted.name.map(|name| name.0),
            description: wanted.description.map(|text| text.0),
        };
        Ok(Done(context.execute_on(&package.0, input.canonical.as_deref(), UpdatePackage { command }).await?))
    }

    /// Delete a package
    ///
    /// Allowed only for a package that no account has ever subscribed to.
    #[oai(path = "/packages/:package", method = "delete", operation_id = "deletePackage")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the package.
        package: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&package.0, None, DeletePackage).await?))
    }
}
