//! External ids: each names one object of its noun.

use billwire_domain::{Rejected, patch::Patch};
use billwire_schemas::refusal::Code;
use uuid::Uuid;

use super::Tx;
use crate::{
    error::Failure,
    objects::{self, Persisted},
};

impl Tx<'_> {
    /// Refuses an external id that another object of the noun has, this unit's own included, and one that reads as another object's id: it
    /// would not find this one.
    ///
    /// # Errors
    /// `external_id_taken`, or the database's failure.
    pub async fn ensure_external_id_free<T: Persisted>(&mut self, external_id: Option<&str>) -> Result<(), Failure> {
        match external_id {
            Some(external_id) => self.ensure_free::<T>(external_id, None).await,
            None => Ok(()),
        }
    }

    /// The same, of a change of an object's external id.
    ///
    /// # Errors
    /// `external_id_taken`, or the database's failure.
    pub async fn ensure_external_id_can_change<T: Persisted>(&mut self, object: &T, external_id: &Patch<String>) -> Result<(), Failure> {
        match external_id {
            Patch::Set(external_id) => self.ensure_free::<T>(external_id, Some(object.id())).await,
            Patch::Unset | Patch::Keep => Ok(()),
        }
    }

    async fn ensure_free<T: Persisted>(&mut self, external_id: &str, own: Option<Uuid>) -> Result<(), Failure> {
        let known = self.external_ids.get(&(T::TABLE, external_id.to_owned())).copied();
        let saved = self.writes.external::<T>(external_id);
        let saved = saved.or_else(|| self.item.as_mut().and_then(|item| item.before.external::<T>(external_id)));
        let taken_by = match (saved, known) {
            (Some(saved), _) => Some(saved),
            (None, Some(known)) => known,
            (None, None) => objects::taken::<T>(self.conn, &self.tenant, &[external_id]).await?.into_values().next(),
        };
        let message = match (taken_by, external_id.parse::<Uuid>()) {
            (Some(id), _) | (None, Ok(id)) if own == Some(id) => return Ok(()),
            (Some(id), _) => format!("There is another {} with the external id '{external_id}' already: {id}.", T::TYPE),
            (None, Ok(id)) if self.load::<T>(id).await?.is_some() => {
                format!("The external id '{external_id}' is the id of another {}.", T::TYPE)
            }
            (None, _) => return Ok(()),
        };
        Err(Rejected::conflict(Code::ExternalIdTaken, message).into())
    }

    /// Looks up which of these external ids are taken, so that [`Tx::ensure_external_id_free`] has them at hand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn preload_external_ids<T: Persisted>(&mut self, external_ids: &[&str]) -> Result<(), Failure> {
        let taken = objects::taken::<T>(self.conn, &self.tenant, external_ids).await?;
        let known = external_ids.iter().map(|id| ((T::TABLE, (*id).to_owned()), taken.get(*id).copied()));
        self.external_ids.extend(known);
        let ids: Vec<Uuid> = external_ids.iter().filter_map(|id| id.parse().ok()).collect();
        self.preload::<T>(&ids).await
    }
}
