//! Whether an SMTP account works.

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

/// An e-mail that says it is a test.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TestEmail {
    /// To whom.
    to: EmailAddress,
}

impl Validate for TestEmail {}

impl Example for TestEmail {
    fn example() -> Self {
        Self { to: "operator@example.com".into() }
    }
}

/// How far an SMTP account could be used.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SmtpResult {
    /// Whether all went well.
    works: bool,
    /// What was done last: `name` (finding the server's address), `connect`, `tls`, `greeting`, `login`, `sender` (naming the sender) or
    /// `send`. More values may be added.
    stage: String,
    /// The server's code, where it gave one.
    status: Option<u16>,
    /// The server's words, or what went wrong.
    detail: String,
    /// How long it took, in milliseconds.
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
    /// Finds the server, connects, secures the connection, logs in and names the sender, and sends nothing. The answer says how far that
    /// came, and what the server said. The body is optional.
    #[oai(path = "/smtp-accounts/:smtpAccount/verify", method = "post", operation_id = "verifySmtpAccount")]
    async fn verify(
        &self,
        context: Context,
        /// Id of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Shown<SmtpResult>, Problem> {
        let _ = input;
        Ok(Shown(context.app().verify_smtp_account(context.tenant(), &account.0.0).await?.into()))
    }

    /// Send a test e-mail
    ///
    /// A short text whose subject begins with `[TEST]`, once and at once, from the account as it is.
    #[oai(path = "/smtp-accounts/:smtpAccount/test", method = "post", operation_id = "sendTestEmail")]
    async fn test(
        &self,
        context: Context,
        /// Id of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
        input: Validated<TestEmail>,
    ) -> Result<Shown<SmtpResult>, Problem> {
        Ok(Shown(context.app().send_test_email(context.tenant(), &account.0.0, &input.body.to.0).await?.into()))
    }
}
