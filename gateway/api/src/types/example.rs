//! Ids and times in the document's examples.

use chrono::{TimeZone, Utc};
use uuid::Uuid;

use crate::types::scalars::Moment;

/// An example id.
pub(crate) fn example_id(number: u128) -> Uuid {
    Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0000 + number)
}

/// An example time.
pub(crate) fn example_moment() -> Moment {
    Moment(Utc.with_ymd_and_hms(2027, 1, 4, 9, 30, 0).single().unwrap_or_default())
}
