//! The suppression list.

use billwire_app::{SuppressAddress, domain::email::suppressed_address};
use billwire_schemas::{ids::fresh, refusal::Code};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, create, created, delete, get, list},
    types::example::{example_id, example_moment},
    types::scalars::{EmailAddress, Moment, Reason, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Addresses that no e-mail is sent to.
    #[oai(rename = "Suppressed addresses")]
    SuppressedAddresses,
}

pub(crate) struct SuppressedAddresses;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "suppressAddress",
        "suppressed_addresses:write",
        &[Code::AddressSuppressed],
        created("suppressedAddress", "SuppressedAddress", &[]),
    ),
    list("listSuppressedAddresses", "suppressed_addresses:read"),
    get("getSuppressedAddress", "suppressed_addresses:read", &[Code::SuppressedAddressNotFound]),
    delete(
        "deleteSuppressedAddress",
        "suppressed_addresses:write",
        &[Code::SuppressedAddressNotFound, Code::StillInUse],
        "suppressedAddress",
        "SuppressedAddress",
    ),
];

/// The address to suppress.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SuppressedAddressInput {
    /// E-mail address.
    address: EmailAddress,
    /// Reason, as free text.
    reason: Option<Reason>,
}

impl Validate for SuppressedAddressInput {}

impl Example for SuppressedAddressInput {
    fn example() -> Self {
        Self { address: "moved@example.com".into(), reason: Some("has another address".into()) }
    }
}

/// An address on the suppression list, to which no e-mail is sent.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SuppressedAddress {
    /// Unique id.
    id: Uuid,
    /// Version, always 1.
    version: i64,
    /// E-mail address, in lowercase.
    address: String,
    /// Reason: the server's reply, or a text given by the caller.
    reason: String,
    /// SMTP status code, if a server refused the address.
    status: Option<u16>,
    /// Id of the refused delivery, if any.
    delivery_id: Option<Uuid>,
    /// Time of suppression.
    created_at: Moment,
}

impl Example for SuppressedAddress {
    fn example() -> Self {
        Self {
            id: example_id(0x31),
            version: 1,
            address: "left@example.com".to_owned(),
            reason: "has left the company".to_owned(),
            status: None,
            delivery_id: None,
            created_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::SuppressedAddresses")]
impl SuppressedAddresses {
    /// Suppress an address
    ///
    /// No e-mail is sent to the address any more. An address is suppressed automatically when a server reports that the mailbox does not
    /// exist.
    #[oai(path = "/suppressed-addresses", method = "post", operation_id = "suppressAddress")]
    async fn create(&self, context: Context, input: Validated<SuppressedAddressInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = suppressed_address::Suppress {
            id: fresh(),
            address: new.address.0,
            reason: new.reason.map_or_else(|| "suppressed on request".to_owned(), |reason| reason.0),
            status: None,
            delivery_id: None,
        };
        let reply = context.execute(input.canonical.as_deref(), SuppressAddress(command)).await?;
        Ok(Created::under("/v1/suppressed-addresses", reply))
    }

    /// List suppressed addresses
    ///
    /// Oldest first.
    #[oai(path = "/suppressed-addresses", method = "get", operation_id = "listSuppressedAddresses")]
    async fn list(&self, context: Context) -> Result<Listed<SuppressedAddress>, Problem> {
        Listed::configurations::<suppressed_address::SuppressedAddress>(&context).await
    }

    /// Get a suppressed address
    ///
    /// Returns the object with this id.
    #[oai(path = "/suppressed-addresses/:suppressedAddress", method = "get", operation_id = "getSuppressedAddress")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id of the entry, or the e-mail address.
        #[oai(name = "suppressedAddress")]
        entry: Path<Reference>,
    ) -> Result<Found<SuppressedAddress>, Problem> {
        let found = context.app().configuration::<suppressed_address::SuppressedAddress>(context.tenant(), &entry.0.0).await?;
        Found::of(&found, &known)
    }

    /// Take an address off the suppression list
    ///
    /// E-mail from now on is sent to the address again. Dead letters stay until they are redriven.
    #[oai(path = "/suppressed-addresses/:suppressedAddress", method = "delete", operation_id = "deleteSuppressedAddress")]
    async fn delete(
        &self,
        context: Context,
        /// Id of the entry, or the e-mail address.
        #[oai(name = "suppressedAddress")]
        entry: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<suppressed_address::SuppressedAddress>(entry.0).await?))
    }
}
