//! What requests and objects have of a planned change of status.

use billwire_app::domain::customers::account::PlannedStart;
use poem_openapi::Object;

use crate::{http::problem::Problem, types::scalars::Moment};

/// A planned change of a status.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PlannedStatus {
    /// The new status.
    status: String,
    /// Reason for the change, if one was given.
    reason: Option<String>,
    /// Time at which the change takes effect.
    valid_from: Moment,
}

/// When a change takes effect; `None`: at once.
pub(crate) fn start(valid_from: Option<Moment>, end_of_period: bool) -> Result<Option<PlannedStart>, Problem> {
    Ok(PlannedStart::of(valid_from.map(|moment| moment.0), end_of_period)?)
}
