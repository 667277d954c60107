//! Tenants: the customers of an installation. The operator's own tenant has them as configuration, and only its keys see and change them.

use billwire_schemas::{
    clock::Timestamp,
    ids::{TenantId, TenantObjectId},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    rejected::Rejected,
};

/// Whether a tenant may do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It may.
    Active,
    /// Its calls are refused, and its deliveries wait. Its clock goes on: what falls due is done.
    Suspended,
    /// As suspended, and for good: all it has is being deleted.
    Deleting,
    /// Nothing of it is left but its name, which no other tenant gets.
    Deleted,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}

/// What keeps a tenant from taking what others need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Requests a second that its keys may send together to one process; absent: as the installation says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
}

impl Limits {
    fn are_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Object id.
    pub id: TenantObjectId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Its name in subjects and keys, which never changes.
    pub tenant_id: TenantId,
    /// Its name for people.
    pub name: String,
    /// Current status.
    pub status: Status,
    /// Why it is suspended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suspended_because: Option<String>,
    /// Its own limits.
    #[serde(skip_serializing_if = "Limits::are_default", default)]
    pub limits: Limits,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Decides `createTenant`.
pub fn create(id: TenantObjectId, tenant_id: TenantId, name: String, limits: Limits, now: Timestamp) -> Change<Tenant> {
    let (status, suspended_because) = (Status::Active, None);
    Change::created(Tenant { id, version: 1, tenant_id, name, status, suspended_because, limits, created_at: now, updated_at: now })
}

/// Decides `updateTenant`; absent members stay as they are.
///
/// # Errors
/// `tenant_deleted`.
pub fn update(tenant: Tenant, name: Option<String>, limits: Option<Limits>, now: Timestamp) -> Result<Change<Tenant>, Rejected> {
    tenant.ensure_not_deleted()?;
    let mut after = tenant.next_version(now);
    after.name = name.unwrap_or(after.name);
    after.limits = limits.unwrap_or(after.limits);
    Ok(Change::updated(tenant, after, Vec::<&'static str>::new()))
}

/// Decides `suspendTenant`.
///
/// # Errors
/// `tenant_is_operator`, `tenant_already_suspended`, `tenant_deleted`.
pub fn suspend(tenant: Tenant, because: Option<String>, now: Timestamp) -> Result<Change<Tenant>, Rejected> {
    if tenant.tenant_id == TenantId::default_tenant() {
        let message = "The operator's own tenant cannot be suspended: nobody could resume it.";
        return Err(Rejected::conflict(Code::TenantIsOperator, message));
    }
    tenant.ensure_not_deleted()?;
    if tenant.status == Status::Suspended {
        return Err(Rejected::conflict(Code::TenantAlreadySuspended, "The tenant is suspended already."));
    }
    let mut after = tenant.next_version(now);
    (after.status, after.suspended_because) = (Status::Suspended, because);
    Ok(Change::updated(tenant, after, Vec::<&'static str>::new()))
}

/// Decides `resumeTenant`.
///
/// # Errors
/// `tenant_not_suspended`, `tenant_deleted`.
pub fn resume(tenant: Tenant, now: Timestamp) -> Result<Change<Tenant>, Rejected> {
    tenant.ensure_not_deleted()?;
    if tenant.status == Status::Active {
        return Err(Rejected::conflict(Code::TenantNotSuspended, "The tenant is not suspended."));
    }
    let mut after = tenant.next_version(now);
    (after.status, after.suspended_because) = (Status::Active, None);
    Ok(Change::updated(tenant, after, Vec::<&'static str>::new()))
}

/// Decides `deleteTenant`: from now on, what the tenant has is being deleted.
///
/// # Errors
/// `tenant_not_suspended`: nobody deletes by mistake what is in use. `tenant_deleted`.
pub fn delete(tenant: Tenant, now: Timestamp) -> Result<Change<Tenant>, Rejected> {
    tenant.ensure_not_deleted()?;
    if tenant.status == Status::Active {
        return Err(Rejected::conflict(Code::TenantNotSuspended, "Only a suspended tenant can be deleted; suspend it first."));
    }
    let mut after = tenant.next_version(now);
    after.status = Status::Deleting;
    Ok(Change::updated(tenant, after, Vec::<&'static str>::new()))
}

/// Ends the deletion; `None`: none is under way.
pub fn end_deletion(tenant: Tenant, now: Timestamp) -> Option<Change<Tenant>> {
    if tenant.status != Status::Deleting {
        return None;
    }
    let mut after = tenant.next_version(now);
    after.status = Status::Deleted;
    Some(Change::updated(tenant, after, Vec::<&'static str>::new()))
}

impl Tenant {
    fn ensure_not_deleted(&self) -> Result<(), Rejected> {
        match self.status {
            Status::Active | Status::Suspended => Ok(()),
            Status::Deleting => Err(Rejected::conflict(Code::TenantDeleted, "The tenant is being deleted.")),
            Status::Deleted => Err(Rejected::conflict(Code::TenantDeleted, "The tenant was deleted.")),
        }
    }
}

impl Entity for Tenant {
    const TYPE: &'static str = "tenant";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(updated_at, status, configuration);
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a moment")
    }

    fn tenant(name: &str) -> Tenant {
        create(TenantObjectId(fresh()), name.parse().expect("a tenant"), "Acme".to_owned(), Limits::default(), at(0)).after
    }

    #[test]
    fn a_tenant_is_suspended_once_and_resumed_once() {
        let suspended = suspend(tenant("acme"), Some("unpaid".to_owned()), at(1)).expect("suspended").after;
        assert_eq!((suspended.status, suspended.suspended_because.as_deref(), suspended.version), (Status::Suspended, Some("unpaid"), 2));
        assert_eq!(suspend(suspended.clone(), None, at(2)).expect_err("refused").code, Code::TenantAlreadySuspended);
        let resumed = resume(suspended, at(3)).expect("resumed").after;
        assert_eq!((resumed.status, resumed.suspended_because.clone()), (Status::Active, None));
        assert_eq!(resume(resumed, at(4)).expect_err("refused").code, Code::TenantNotSuspended);
    }

    #[test]
    fn the_operators_own_tenant_stays() {
        assert_eq!(suspend(tenant("default"), None, at(1)).expect_err("refused").code, Code::TenantIsOperator);
        assert_eq!(delete(tenant("default"), at(1)).expect_err("refused").code, Code::TenantNotSuspended);
    }

    #[test]
    fn a_suspended_tenant_is_deleted_once_and_nothing_changes_it_afterwards() {
        assert_eq!(delete(tenant("acme"), at(1)).expect_err("refused").code, Code::TenantNotSuspended);
        assert!(end_deletion(tenant("acme"), at(1)).is_none());
        let suspended = suspend(tenant("acme"), None, at(1)).expect("suspended").after;
        let deleting = delete(suspended, at(2)).expect("deleting").after;
        let deleted = end_deletion(deleting.clone(), at(3)).expect("deleted").after;
        assert_eq!((deleting.status, deleted.status, deleted.version), (Status::Deleting, Status::Deleted, 4));
        for tenant in [deleting, deleted] {
            let refusals = [
                update(tenant.clone(), Some("B".to_owned()), None, at(4)),
                suspend(tenant.clone(), None, at(4)),
                resume(tenant.clone(), at(4)),
                delete(tenant, at(4)),
            ];
            assert!(refusals.into_iter().all(|refused| refused.is_err_and(|refused| refused.code == Code::TenantDeleted)));
        }
    }

    #[test]
    fn the_same_name_again_changes_nothing() {
        let acme = tenant("acme");
        assert_eq!(update(acme.clone(), Some("Acme".to_owned()), None, at(1)).expect("the same").after, acme);
        assert_eq!(update(acme, Some("Acme Ltd".to_owned()), None, at(1)).expect("changed").after.version, 2);
    }
}
