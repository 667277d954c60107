//! Tests of SMTP accounts.

use billwire_app::SmtpCheck;
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    customers::account_bill_cycle::NoMembers,
    email::smtp_accounts::Tag,
    http::{
        problem::Problem,
        request_context::Context,
        responses::Shown,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, Takes, get},
    types::scalars::{EmailAddress, Reference},
};

pub(crate) struct SmtpAccountTests;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { takes: Takes { body: true, ..PLAIN }, ..get("verifySmtpAccount", "smtp_accounts:write", &[Code::SmtpAccountNotFound]) },
    Operation { takes: Takes { body: true, ..PLAIN }, ..get("sendTestEmail", "smtp_accounts:write", &[Code::SmtpAccountNotFound]) },
];

/// The test e-mail to send.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TestEmail {
    /// Recipient address.
    to: EmailAddress,
}

impl Validate for TestEmail {}

impl Example for TestEmail {
    fn example() -> Self {
        Self { to: "operator@example.com".into() }
    }
}

/// The result of testing an SMTP account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SmtpResult {
    /// Whether every stage succeeded.
    works: bool,
    /// The last stage reached: `name` (resolving the server's name), `connect`, `tls`, `greeting`, `login`, `sender` (MAIL FROM) or `send`.
    /// More values may be added.
    stage: String,
    /// SMTP status code, if any.
    status: Option<u16>,
    /// Response text of the server, or the error.
    detail: String,
    /// Duration in milliseconds.
    latency_ms: u64,
}

impl From<SmtpCheck> for SmtpResult {
    fn from(verdict: SmtpCheck) -> Self {
        let SmtpCheck { works, stage, status, detail, latency } = verdict;
        Self { works, stage: stage.to_owned(), status, detail, latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl Example for SmtpResult {
    fn example() -> Self {
        Self { works: true, stage: "sender".to_owned(), status: Some(250), detail: "2.1.0 Ok".to_owned(), latency_ms: 42 }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::SmtpAccounts")]
impl SmtpAccountTests {
    /// Verify an SMTP account
    ///
    /// Resolves the server's name, connects, secures the connection, logs in and names the sender, but sends no e-mail. The response has
    /// the last stage reached and the server's reply. The body is optional.
    #[oai(path = "/smtp-accounts/:smtpAccount/verify", method = "post", operation_id = "verifySmtpAccount")]
    async fn verify(
        &self,
        context: Context,
        /// Id or name of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Shown<SmtpResult>, Problem> {
        let _ = input;
        Ok(Shown(context.app().verify_smtp_account(context.tenant(), &account.0.0).await?.into()))
    }

    /// Send a test e-mail
    ///
    /// Immediately sends a short e-mail whose subject begins with `[TEST]`, once, with the account's current settings.
    #[oai(path = "/smtp-accounts/:smtpAccount/test", method = "post", operation_id = "sendTestEmail")]
    async fn test(
        &self,
        context: Context,
        /// Id or name of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
        input: Validated<TestEmail>,
    ) -> Result<Shown<SmtpResult>, Problem> {
        Ok(Shown(context.app().send_test_email(context.tenant(), &account.0.0, &input.body.to.0).await?.into()))
    }
}
