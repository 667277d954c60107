//! Cursors: opaque to clients, and bound to the list that issued them.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use billwire_app::page::After;
use billwire_schemas::refusal::Code;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::http::{problem::Problem, request_context::hex};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// Sort value of the last item.
    s: i64,
    /// Id of the last item.
    i: Uuid,
    /// Checksum over the position and its list. It needs no secret: a cursor grants no access beyond the caller's own.
    h: String,
}

fn checksum(after: &After, list: &str) -> String {
    let text = format!("{} {} {list}", after.sort, after.id);
    hex(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..8])
}

/// The cursor with which `list` continues after `after`.
pub(crate) fn write(after: After, list: &str) -> String {
    let position = Position { s: after.sort, i: after.id, h: checksum(&after, list) };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&position).unwrap_or_default())
}

/// The position at which `list` continues.
///
/// # Errors
/// `bad_cursor`: damaged, or issued by another list.
pub(crate) fn read(cursor: &str, list: &str) -> Result<After, Problem> {
    let position = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|json| serde_json::from_slice::<Position>(&json).ok());
    let found = position.and_then(|position| {
        let after = After { sort: position.s, id: position.i };
        (position.h == checksum(&after, list)).then_some(after)
    });
    found.ok_or_else(foreign)
}

/// The refusal of a cursor that this list did not issue.
pub(crate) fn foreign() -> Problem {
    Problem::new(Code::BadCursor, "The cursor was not issued by this list with these filters. Start again without a cursor.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_serves_its_own_list_alone() {
        let after = After { sort: 7, id: Uuid::nil() };
        let cursor = write(after, "a");
        assert_eq!(read(&cursor, "a").ok(), Some(after));
        assert!(read(&cursor, "b").is_err());
        for bad in ["", "x", &cursor[1..], &format!("{cursor}A")] {
            assert!(read(bad, "a").is_err(), "{bad}");
        }
    }
}
