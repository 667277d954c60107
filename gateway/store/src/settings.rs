//! Single values of the installation: the stream's epoch, the test clock.

use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};

use crate::{Error, Store, entity::setting};

impl Store {
    /// The value under `key`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(setting::Entity::find_by_id(key).one(&self.0.read).await?.map(|row| row.value))
    }

    /// Sets the value under `key`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        let row = setting::ActiveModel { key: Set(key.to_owned()), value: Set(value.to_owned()) };
        let mut clash = OnConflict::column(setting::Column::Key);
        clash.update_column(setting::Column::Value);
        setting::Entity::insert(row).on_conflict(clash).exec_without_returning(&self.0.write).await?;
        Ok(())
    }
}
