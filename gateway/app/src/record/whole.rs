//! The whole business transaction as a message: the last one behind its events, for tenants that switched it on.

use billwire_schemas::{
    events::{
        envelope::{Action, Data, Envelope, ObjectRef, schema_path},
        selection::BUSINESS_TRANSACTION,
    },
    ids::{EventId, fresh},
};
use billwire_store::{NewEvent, commit::Failure};
use serde_json::value::{RawValue, to_raw_value};

use super::{AppendTerms, BusinessTransaction, core_parameters, fits};
use crate::execute::json;

impl BusinessTransaction<'_> {
    /// The message: the transaction, which `recorded` is as JSON, is the created object. One that would be too large for the stream says
    /// where the transaction can be read instead. `common` is what the events have in common, with the sequence of the message.
    ///
    /// # Errors
    /// When it cannot be serialized.
    pub(super) fn as_event(&self, common: Envelope, recorded: &RawValue, terms: &AppendTerms<'_>) -> Result<NewEvent, Failure> {
        let AppendTerms { caller, moment, trace, messages, .. } = *terms;
        let (event, kind, object_id) = (EventId(fresh()), format!("{BUSINESS_TRANSACTION}.{}", self.operation), self.id.to_string());
        let object = ObjectRef { kind: "businessTransaction".to_owned(), id: object_id.clone(), version: 1, action: Action::Created };
        let parameters = core_parameters(&kind, "Business transaction", caller, moment.occurred_at);
        let message = Envelope {
            id: event,
            kind: kind.clone(),
            subject: object_id.clone(),
            dataschema: format!("{}{}", messages.public_url, schema_path(BUSINESS_TRANSACTION, 1)),
            traceparent: trace.map(|trace| trace.of_event(event)),
            data: Data { object, before: None, after: Some(recorded.to_owned()), parameters },
            ..common
        };
        let sequence = message.sequence.0;
        let mut body = serde_json::to_string(&message).map_err(json)?;
        if body.len() as u64 > messages.max {
            let href = Some(format!("{}/v1/business-transactions/{}", messages.public_url, self.id));
            let after = to_raw_value(&BusinessTransaction { entities: None, events: None, href, ..*self }).map_err(json)?;
            body = serde_json::to_string(&Envelope { data: Data { after: Some(after), ..message.data }, ..message }).map_err(json)?;
        }
        fits(&kind, body.len() as u64, messages.max)?;
        Ok(NewEvent { id: event.0, kind, object_id, sequence, body, private: None })
    }
}
