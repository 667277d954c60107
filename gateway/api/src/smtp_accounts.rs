//! SMTP accounts.

use billwire_app::{CreateSmtpAccount, DeleteConfiguration, domain::smtp_account};
use billwire_schemas::ids::{SmtpAccountId, fresh};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    Tag,
    answers::{Created, Done, Found, IfNoneMatch, Listed},
    checked::{Checkable, Checked},
    context::{Context, Query},
    example_id, example_moment,
    fields::{Cursor, EmailAddress, Host, Limit, Moment, Name, Port, Reference, Secret, Security, Username},
    operations::{Operation, create, created, delete, get, list},
    problem::Problem,
};

pub(crate) struct SmtpAccounts;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createSmtpAccount",
        "smtp_accounts:write",
        &["name_taken", "credentials_incomplete", "credentials_in_clear"],
        created("smtpAccount", "SmtpAccount", &[]),
    ),
    list("listSmtpAccounts", "smtp_accounts:read"),
    get("getSmtpAccount", "smtp_accounts:read", &["smtp_account_not_found"]),
    delete("deleteSmtpAccount", "smtp_accounts:write", &["smtp_account_not_found", "still_in_use"], "smtpAccount", "SmtpAccount"),
];

/// An SMTP account to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewSmtpAccount {
    /// Its name; unique among SMTP accounts.
    name: Name,
    /// Host name or IP address of the outgoing SMTP server.
    server: Host,
    /// Its port.
    #[oai(default = "smtp_port")]
    port: Port,
    /// How the connection is protected: `starttls` insists on STARTTLS, `tls` begins with TLS (port 465).
    #[oai(default = "starttls")]
    security: Security,
    /// The name in the From field.
    from_name: Name,
    /// The address in the From field.
    from_address: EmailAddress,
    /// The user name, where the server wants one. It comes together with `password`.
    username: Option<Username>,
    /// The password. It is kept encrypted and never answered back; it is not sent over an unprotected connection.
    #[oai(write_only)]
    password: Option<Secret>,
}

fn smtp_port() -> Port {
    Port(25)
}

fn starttls() -> Security {
    Security::Starttls
}

impl Checkable for NewSmtpAccount {}

impl Example for NewSmtpAccount {
    fn example() -> Self {
        Self {
            name: "customer-mail".into(),
            server: "smtp.example.com".into(),
            port: Port(587),
            security: starttls(),
            from_name: "Acme Telecom Billing".into(),
            from_address: "billing@example.com".into(),
            username: None,
            password: None,
        }
    }
}

/// An SMTP account: from where e-mail is sent.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SmtpAccount {
    /// Its id.
    id: Uuid,
    /// Its version, from 1.
    version: i64,
    /// Its name.
    name: String,
    /// The outgoing SMTP server.
    server: String,
    /// Its port.
    port: u16,
    /// How the connection is protected: `none`, `starttls` or `tls`.
    security: String,
    /// The name in the From field.
    from_name: String,
    /// The address in the From field.
    from_address: String,
    /// The user name, where there is one.
    username: Option<String>,
    /// Whether a password is set.
    has_password: bool,
    /// When it was made.
    created_at: Moment,
}

impl Example for SmtpAccount {
    fn example() -> Self {
        Self {
            id: example_id(6),
            version: 1,
            name: "customer-mail".to_owned(),
            server: "smtp.example.com".to_owned(),
            port: 587,
            security: "starttls".to_owned(),
            from_name: "Acme Telecom Billing".to_owned(),
            from_address: "billing@example.com".to_owned(),
            username: None,
            has_password: false,
            created_at: example_moment(),
        }
    }
}

impl From<Security> for smtp_account::Security {
    fn from(security: Security) -> Self {
        match security {
            Security::None => Self::None,
            Security::Starttls => Self::Starttls,
            Security::Tls => Self::Tls,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::SmtpAccounts")]
impl SmtpAccounts {
    /// Create an SMTP account
    ///
    /// Subscriptions with the action `email` send through it.
    #[oai(path = "/smtp-accounts", method = "post", operation_id = "createSmtpAccount")]
    async fn create(&self, context: Context, input: Checked<NewSmtpAccount>) -> Result<Created, Problem> {
        let new = input.body;
        let password = new.password.map(|password| password.0);
        let command = smtp_account::Create {
            id: SmtpAccountId(fresh()),
            name: new.name.0,
            server: new.server.0,
            port: u16::try_from(new.port.0).map_err(Problem::internal)?,
            security: new.security.into(),
            from_name: new.from_name.0,
            from_address: new.from_address.0,
            username: new.username.map(|name| name.0),
            has_password: password.is_some(),
        };
        let use_case = CreateSmtpAccount { command, password };
        let reply = context.app().once(context.demand(input.canonical.as_deref()), use_case).await?;
        Ok(Created::under("/v1/smtp-accounts", reply))
    }

    /// List SMTP accounts
    ///
    /// Oldest first.
    #[oai(path = "/smtp-accounts", method = "get", operation_id = "listSmtpAccounts")]
    async fn list(
        &self,
        context: Context,
        /// How many items at the most.
        limit: Query<Limit>,
        /// Where to go on: `nextCursor` of the part before.
        cursor: Query<Cursor>,
    ) -> Result<Listed<SmtpAccount>, Problem> {
        let ask = context.ask(limit.0, cursor.0.as_ref())?;
        Listed::page(&context, &context.app().list_configurations::<smtp_account::SmtpAccount>(context.tenant(), ask).await?)
    }

    /// Get an SMTP account
    ///
    /// By its id.
    #[oai(path = "/smtp-accounts/:smtpAccount", method = "get", operation_id = "getSmtpAccount")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
    ) -> Result<Found<SmtpAccount>, Problem> {
        Found::of(&context.app().configuration::<smtp_account::SmtpAccount>(context.tenant(), &account.0.0).await?, &known)
    }

    /// Delete an SMTP account
    ///
    /// Only when no subscription stands on it any more.
    #[oai(path = "/smtp-accounts/:smtpAccount", method = "delete", operation_id = "deleteSmtpAccount")]
    async fn delete(
        &self,
        context: Context,
        /// Id of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
    ) -> Result<Done, Problem> {
        let use_case = DeleteConfiguration::<smtp_account::SmtpAccount>::new(account.0.0, context.if_match());
        Ok(Done(context.app().once(context.demand(None), use_case).await?))
    }
}
