//! Looks for what somebody has changed by hand, in the chain of a tenant's audit and in the business transactions it tells of.

use std::fmt;

use aws_lc_rs::hmac;
use billwire_domain::access::audit::Entry;
use billwire_schemas::ids::{TenantId, TransactionId};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::{Chained, digest_of, link, seal, seal_of_start};
use crate::{Error, Store, retention::Kind};

/// Entries that are read at once.
const READ_AT_ONCE: u64 = 500;
/// Faults that are told of a tenant at most.
const FAULTS_MAX: usize = 100;

/// What somebody has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The entry with this number.
    EntryAltered(i64),
    /// The entries with these numbers are not there, both included.
    EntriesMissing(i64, i64),
    /// The record of where the chain ends was altered or removed.
    EndAltered,
    /// The record of where the chain begins was altered.
    StartAltered,
    /// A business transaction, and the number of its entry.
    TransactionAltered(TransactionId, i64),
    /// The same of one that is not there.
    TransactionMissing(TransactionId, i64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntryAltered(number) => write!(f, "entry {number} was altered"),
            Self::EntriesMissing(first, last) if first == last => write!(f, "entry {first} is missing"),
            Self::EntriesMissing(first, last) => write!(f, "the entries {first} to {last} are missing"),
            Self::EndAltered => f.write_str("the record of the last entry was altered or removed"),
            Self::StartAltered => f.write_str("the record of the last entry deleted after its retention was altered"),
            Self::TransactionAltered(id, number) => write!(f, "business transaction {id} was altered (entry {number})"),
            Self::TransactionMissing(id, number) => write!(f, "business transaction {id} is missing (entry {number})"),
        }
    }
}

/// What was found in the audit of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that were looked at.
    pub entries: u64,
    /// Business transactions that were compared.
    pub transactions: u64,
    /// Business transactions that were deleted after their retention.
    pub purged: u64,
    /// What is wrong, a hundred faults at most.
    pub faults: Vec<Fault>,
}

impl Report {
    fn add(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// Checks that an entry follows the one before; gives whether it is as it was made.
    fn follow(&mut self, key: &hmac::Key, tenant: &str, before: &(i64, String), entry: &Chained) -> bool {
        self.entries += 1;
        if entry.number != before.0 + 1 {
            // What the first entry behind a gap follows is not known.
            self.add(Fault::EntriesMissing(before.0 + 1, entry.number - 1));
            return true;
        }
        let right = link(key, tenant, &before.1, &entry.body) == entry.hash;
        if !right {
            self.add(Fault::EntryAltered(entry.number));
        }
        right
    }
}

impl Store {
    /// Compares a tenant's audit with its chain, and the business transactions with what the audit says of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify_audit(&self, tenant: &TenantId) -> Result<Report, Error> {
        let key = self.chain_key().await?;
        let (mut report, mut before) = (Report::default(), (0, String::new()));
        let sql = "SELECT purged, purged_hash, purged_seal FROM audit_head WHERE tenant = $1 AND purged > 0";
        if let Some(row) = self.0.read.query_one_raw(self.statement(sql, [tenant.as_str().into()])).await? {
            before = (row.try_get("", "purged")?, row.try_get("", "purged_hash")?);
            let sealed: String = row.try_get("", "purged_seal")?;
            if seal_of_start(key, tenant.as_str(), before.0, &before.1) != sealed {
                report.add(Fault::StartAltered);
            }
        }
        loop {
            let part = self.audit_chain(tenant, before.0, READ_AT_ONCE).await?;
            for entry in &part {
                if report.follow(key, tenant.as_str(), &before, entry) {
                    self.compare(tenant, entry, &mut report).await?;
                }
                before = (entry.number, entry.hash.clone());
            }
            if part.is_empty() {
                break;
            }
        }
        let sql = "SELECT number, hash, seal FROM audit_head WHERE tenant = $1";
        let head = self.0.read.query_one_raw(self.statement(sql, [tenant.as_str().into()])).await?;
        let read = |row: &QueryResult| -> Result<(i64, String, String), DbErr> {
            Ok((row.try_get("", "number")?, row.try_get("", "hash")?, row.try_get("", "seal")?))
        };
        match head.as_ref().map(read).transpose()? {
            Some((number, hash, sealed)) if seal(key, tenant.as_str(), number, &hash) == sealed => {
                // An entry may have been added since.
                if before.0 < number && self.audit_chain(tenant, before.0, 1).await?.is_empty() {
                    report.add(Fault::EntriesMissing(before.0 + 1, number));
                }
            }
            None if before.0 == 0 => {}
            _ => report.add(Fault::EndAltered),
        }
        Ok(report)
    }

    /// Compares the business transactions of an entry with their digests.
    async fn compare(&self, tenant: &TenantId, entry: &Chained, report: &mut Report) -> Result<(), Error> {
        let told: Entry = serde_json::from_str(&entry.body).map_err(Error::corrupt("audit_entry"))?;
        let ids: Vec<_> = told.changes.iter().map(|change| change.business_transaction_id.0).collect();
        let found = self.bodies("business_transaction", &ids).await?;
        for change in told.changes {
            let id = change.business_transaction_id;
            report.transactions += 1;
            match found.get(&id.0) {
                Some(body) if digest_of(body) == change.digest => {}
                Some(_) => report.add(Fault::TransactionAltered(id, entry.number)),
                None if self.is_purged(tenant, Kind::BusinessTransactions, id.0).await? => report.purged += 1,
                None => report.add(Fault::TransactionMissing(id, entry.number)),
            }
        }
        Ok(())
    }
}
