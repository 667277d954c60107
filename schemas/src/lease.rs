//! The lease: the right of one process to do work that only one may do at a time.

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The work it is for.
    pub name: String,
    /// The process that holds it.
    pub owner: String,
    /// Grows each time another process takes the lease.
    pub fence: i64,
}
