//! The balance of an account.

use billwire_app::domain::{Rejected, billing::balance, customers::account::Account};
use billwire_schemas::{money, refusal::Code};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    billing::payments::Tag,
    http::{problem::Problem, request_context::Context, responses::Shown},
    openapi::operation::{Operation, PLAIN},
    types::{
        example::{example_id, example_moment},
        money::Money,
        scalars::{Moment, Reference},
    },
};

pub(crate) struct Balances;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "getAccountBalance",
    scope: "payments:read",
    own_codes: &[Code::AccountNotFound, Code::BalanceOutOfRange, Code::BillingDataUnreadable],
    takes: PLAIN,
    makes: None,
}];

/// What an account owes, and what it has in its favour: `balance` = `balanceDue` - `unallocated` - `credits`.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct AccountBalance {
    /// Id of the account.
    account_id: Uuid,
    /// What was invoiced, less what was paid and credited, plus what was refunded. Negative: in favour of the account. What no invoice bills
    /// yet does not count.
    balance: Money,
    /// Amount due of the open invoices.
    balance_due: Money,
    /// The part of `balanceDue` that is overdue.
    overdue: Money,
    /// What payments have left that no invoice got.
    unallocated: Money,
    /// What credits have left.
    credits: Money,
    /// When the balance was computed.
    as_of: Moment,
}

impl Example for AccountBalance {
    fn example() -> Self {
        Self {
            account_id: example_id(1),
            balance: Money::of("114.90", "EUR"),
            balance_due: Money::of("129.90", "EUR"),
            overdue: Money::of("0.00", "EUR"),
            unallocated: Money::of("0.00", "EUR"),
            credits: Money::of("15.00", "EUR"),
            as_of: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Payments")]
impl Balances {
    /// Get the balance of an account
    ///
    /// Returns what the account owes and what it has in its favour, from its open invoices, payments and credits. Events of invoices,
    /// payments, refunds and credits offer the same as parameters `account.balance` and `account.balanceDue`.
    #[oai(path = "/accounts/:account/balance", method = "get", operation_id = "getAccountBalance")]
    async fn get(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
    ) -> Result<Shown<AccountBalance>, Problem> {
        let account = context.app().get::<Account>(context.tenant(), &account.0.0).await?;
        let sums = context.app().balance(context.tenant(), account.id).await?;
        let currency = account.currency.parse().map_err(|no_currency| {
            Rejected::conflict(Code::BillingDataUnreadable, format!("The account's currency '{}' {no_currency}.", account.currency))
        })?;
        let shown = |sum| balance::amount(sum, currency).map(Money::from).ok_or_else(too_large);
        Ok(Shown(AccountBalance {
            account_id: account.id.0,
            balance: shown(sums.total())?,
            balance_due: shown(sums.due)?,
            overdue: shown(sums.overdue)?,
            unallocated: shown(sums.unallocated)?,
            credits: shown(sums.credits)?,
            as_of: context.app().now().into(),
        }))
    }
}

fn too_large() -> Rejected {
    let message = format!("A sum of the account's invoices, payments or credits exceeds the largest amount, {}.", money::Decimal::MAX);
    Rejected::conflict(Code::BalanceOutOfRange, message)
}
