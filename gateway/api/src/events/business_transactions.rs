//! The history of business transactions.

use billwire_app::history;
use billwire_schemas::refusal::Code;
use poem_openapi::{OpenApi, Tags, param::Path};

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Listed, Stored},
    },
    openapi::operation::{Operation, PLAIN, get, list},
    types::{
        business_transaction::BusinessTransaction,
        scalars::{Moment, OperationName, Reference},
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Committed changes and the events published for them.
    #[oai(rename = "Business transactions")]
    BusinessTransactions,
}

pub(crate) struct BusinessTransactions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    list("listBusinessTransactions", "business_transactions:read"),
    Operation {
        takes: PLAIN,
        ..get("getBusinessTransaction", "business_transactions:read", &[Code::BusinessTransactionNotFound, Code::Purged])
    },
];

#[OpenApi(prefix_path = "/v1", tag = "Tag::BusinessTransactions")]
impl BusinessTransactions {
    /// List business transactions
    ///
    /// Newest first.
    #[oai(path = "/business-transactions", method = "get", operation_id = "listBusinessTransactions")]
    async fn list(
        &self,
        context: Context,
        /// Only transactions of this operation, by its operationId.
        operation: Query<OperationName>,
        /// Only transactions of this account, by its id or external id.
        account: Query<Reference>,
        /// Only transactions that changed this object, by its id.
        #[oai(name = "objectId")]
        object: Query<Reference>,
        /// Only transactions at or after this time.
        from: Query<Moment>,
        /// Only transactions before this time.
        to: Query<Moment>,
    ) -> Result<Listed<BusinessTransaction>, Problem> {
        let page_request = context.page().await?;
        let account = match account.0 {
            None => None,
            Some(account) => match context.app().account_named(context.tenant(), &account.0).await? {
                None => return Ok(Listed::nothing()),
                found => found,
            },
        };
        let wanted = history::Transactions {
            operation: operation.0.map(|operation| operation.0),
            account,
            object: object.0.map(|object| object.0),
            from: from.0.map(|from| from.0),
            to: to.0.map(|to| to.0),
        };
        Listed::stored(&context, context.app().list_business_transactions(context.tenant(), wanted, page_request).await?)
    }

    /// Get a business transaction
    ///
    /// Returns the transaction as its operation returned it, without secrets that are shown only once (signing secrets).
    #[oai(path = "/business-transactions/:businessTransaction", method = "get", operation_id = "getBusinessTransaction")]
    async fn get(
        &self,
        context: Context,
        /// Id of the business transaction.
        #[oai(name = "businessTransaction")]
        transaction: Path<Reference>,
    ) -> Result<Stored<BusinessTransaction>, Problem> {
        Ok(Stored::of(context.app().business_transaction(context.tenant(), &transaction.0.0).await?))
    }
}
