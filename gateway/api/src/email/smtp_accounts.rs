//! SMTP accounts.

use billwire_app::{CreateSmtpAccount, UpdateSmtpAccount, domain::email::smtp_account};
use billwire_schemas::ids::{SmtpAccountId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{
        EmailAddress, Host, MaxConnections, MaxPerSecond, MaxRecipients, Moment, Name, Port, Reference, Secret, Security, Username,
        UsernameOrNothing,
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Servers and senders of outgoing e-mail.
    #[oai(rename = "SMTP accounts")]
    SmtpAccounts,
}

pub(crate) struct SmtpAccounts;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createSmtpAccount",
        "smtp_accounts:write",
        &[Code::NameTaken, Code::CredentialsIncomplete, Code::CredentialsInClear],
        created("smtpAccount", "SmtpAccount", &[]),
    ),
    list("listSmtpAccounts", "smtp_accounts:read"),
    get("getSmtpAccount", "smtp_accounts:read", &[Code::SmtpAccountNotFound]),
    change(
        "updateSmtpAccount",
        "smtp_accounts:write",
        &[Code::SmtpAccountNotFound, Code::NameTaken, Code::CredentialsIncomplete, Code::CredentialsInClear],
        updated("smtpAccount", "SmtpAccount", &[]),
    ),
    delete("deleteSmtpAccount", "smtp_accounts:write", &[Code::SmtpAccountNotFound, Code::StillInUse], "smtpAccount", "SmtpAccount"),
];

/// The SMTP account to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SmtpAccountInput {
    /// Display name; unique among SMTP accounts.
    name: Name,
    /// Host name or IP address of the outgoing SMTP server. It must be public, unless the installation allows others.
    server: Host,
    /// Port of the SMTP server.
    #[oai(default = "smtp_port")]
    port: Port,
    /// Encryption of the connection: `starttls` requires STARTTLS, `tls` is implicit TLS (port 465).
    #[oai(default = "starttls")]
    security: Security,
    /// The name in the From field.
    from_name: Name,
    /// The address in the From field.
    from_address: EmailAddress,
    /// The user name, if the server requires one; requires `password`.
    username: Option<Username>,
    /// The password. Stored encrypted and never returned; not sent over an unencrypted connection.
    #[oai(write_only)]
    password: Option<Secret>,
    /// Maximum number of messages per second; 0: no limit.
    max_per_second: Option<MaxPerSecond>,
    /// Maximum number of concurrent connections.
    #[oai(default = "connections")]
    connections: MaxConnections,
    /// Maximum number of recipients per SMTP transaction; a message with more is submitted several times.
    #[oai(default = "recipients")]
    max_recipients: MaxRecipients,
    /// Whether subscriptions without an SMTP account use this one. A tenant's first account is the default until another is set.
    #[oai(default)]
    is_default: bool,
}

fn connections() -> MaxConnections {
    MaxConnections(smtp_account::CONNECTIONS_DEFAULT)
}

fn recipients() -> MaxRecipients {
    MaxRecipients(smtp_account::RECIPIENTS_DEFAULT)
}

fn smtp_port() -> Port {
    Port(25)
}

fn starttls() -> Security {
    Security::Starttls
}

impl Validate for SmtpAccountInput {}

impl Example for SmtpAccountInput {
    fn example() -> Self {
        Self {
            name: "partner-mail".into(),
            server: "smtp.example.com".into(),
            port: Port(587),
            security: starttls(),
            from_name: "Acme Telecom Billing".into(),
            from_address: "billing@example.com".into(),
            username: None,
            password: None,
            max_per_second: Some(MaxPerSecond(20)),
            connections: connections(),
            max_recipients: recipients(),
            is_default: false,
        }
    }
}

/// Changes to an SMTP account. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SmtpAccountUpdate {
    /// Display name; unique among SMTP accounts.
    name: Option<Name>,
    /// Host name or IP address of the outgoing SMTP server.
    server: Option<Host>,
    /// Port of the SMTP server.
    port: Option<Port>,
    /// `none`, `starttls` or `tls`.
    security: Option<Security>,
    /// The name in the From field.
    from_name: Option<Name>,
    /// The address in the From field.
    from_address: Option<EmailAddress>,
    /// The user name; null or an empty string removes it and the password.
    username: Nullable<UsernameOrNothing>,
    /// The password.
    #[oai(write_only)]
    password: Option<Secret>,
    /// Maximum number of messages per second; null or 0: no limit.
    max_per_second: Nullable<MaxPerSecond>,
    /// Maximum number of concurrent connections.
    connections: Option<MaxConnections>,
    /// Maximum number of recipients per SMTP transaction.
    max_recipients: Option<MaxRecipients>,
    /// Whether subscriptions without an SMTP account use this one, in place of the current default.
    is_default: Option<bool>,
}

impl Validate for SmtpAccountUpdate {}

impl Example for SmtpAccountUpdate {
    fn example() -> Self {
        Self {
            name: None,
            server: None,
            port: Some(Port(465)),
            security: Some(Security::Tls),
            from_name: None,
            from_address: None,
            username: Nullable::default(),
            password: None,
            max_per_second: Nullable::default(),
            connections: Some(MaxConnections(10)),
            max_recipients: None,
            is_default: Some(true),
        }
    }
}

/// An SMTP account: server and sender of outgoing e-mail.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SmtpAccount {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Display name.
    name: String,
    /// The outgoing SMTP server.
    server: String,
    /// Port of the SMTP server.
    port: u16,
    /// Encryption of the connection: `none`, `starttls` or `tls`.
    security: String,
    /// The name in the From field.
    from_name: String,
    /// The address in the From field.
    from_address: String,
    /// The user name, if any.
    username: Option<String>,
    /// Whether a password is set.
    has_password: bool,
    /// Maximum number of messages per second. Absent: no limit.
    max_per_second: Option<u32>,
    /// Maximum number of concurrent connections.
    connections: u32,
    /// Maximum number of recipients per SMTP transaction.
    max_recipients: u32,
    /// Whether subscriptions without an SMTP account use this one.
    is_default: bool,
    /// Creation time.
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
            max_per_second: Some(20),
            connections: smtp_account::CONNECTIONS_DEFAULT,
            max_recipients: smtp_account::RECIPIENTS_DEFAULT,
            is_default: true,
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
    /// Subscriptions with the action `email` can send through the account.
    #[oai(path = "/smtp-accounts", method = "post", operation_id = "createSmtpAccount")]
    async fn create(&self, context: Context, input: Validated<SmtpAccountInput>) -> Result<Created, Problem> {
        let new = input.body;
        let password = new.password.map(|password| password.0);
        let settings = smtp_account::Settings {
            name: Some(new.name.0),
            server: Some(new.server.0),
            port: Some(u16::try_from(new.port.0).map_err(Problem::internal)?),
            security: Some(new.security.into()),
            from_name: Some(new.from_name.0),
            from_address: Some(new.from_address.0),
            username: new.username.map(|name| name.0),
            with_password: password.is_some(),
            changes_password: false,
            max_per_second: new.max_per_second.map(|max| max.0),
            connections: Some(new.connections.0),
            max_recipients: Some(new.max_recipients.0),
            is_default: Some(new.is_default),
        };
        let use_case = CreateSmtpAccount { id: SmtpAccountId(fresh()), settings, password };
        let reply = context.execute(input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/smtp-accounts", reply))
    }

    /// List SMTP accounts
    ///
    /// Oldest first.
    #[oai(path = "/smtp-accounts", method = "get", operation_id = "listSmtpAccounts")]
    async fn list(&self, context: Context) -> Result<Listed<SmtpAccount>, Problem> {
        Listed::configurations::<smtp_account::SmtpAccount>(&context).await
    }

    /// Get an SMTP account
    ///
    /// Returns the object with this id.
    #[oai(path = "/smtp-accounts/:smtpAccount", method = "get", operation_id = "getSmtpAccount")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
    ) -> Result<Found<SmtpAccount>, Problem> {
        Found::of(&context.app().configuration::<smtp_account::SmtpAccount>(context.tenant(), &account.0.0).await?, &known)
    }

    /// Change an SMTP account
    ///
    /// E-mails sent from now on use the changed account. A changed password is used from the next connection on.
    #[oai(path = "/smtp-accounts/:smtpAccount", method = "patch", operation_id = "updateSmtpAccount")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
        input: Validated<SmtpAccountUpdate>,
    ) -> Result<Done, Problem> {
        let new = input.body;
        let password = new.password.map(|password| password.0);
        let settings = smtp_account::Settings {
            name: new.name.map(|name| name.0),
            server: new.server.map(|server| server.0),
            port: new.port.map(|port| u16::try_from(port.0)).transpose().map_err(Problem::internal)?,
            security: new.security.map(Into::into),
            from_name: new.from_name.map(|name| name.0),
            from_address: new.from_address.map(|address| address.0),
            username: new.username.map(|name| name.0).or(String::new()),
            with_password: password.is_some(),
            changes_password: false,
            max_per_second: new.max_per_second.map(|max| max.0).or(0),
            connections: new.connections.map(|max| max.0),
            max_recipients: new.max_recipients.map(|max| max.0),
            is_default: new.is_default,
        };
        let use_case = UpdateSmtpAccount { settings, password };
        Ok(Done(context.execute_on_configuration(&account.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Delete an SMTP account
    ///
    /// Allowed only when no subscription uses it.
    #[oai(path = "/smtp-accounts/:smtpAccount", method = "delete", operation_id = "deleteSmtpAccount")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the SMTP account.
        #[oai(name = "smtpAccount")]
        account: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<smtp_account::SmtpAccount>(account.0).await?))
    }
}
