//! Single values of the installation: the stream's epoch, the test clock, the seal keys.

use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, sea_query::OnConflict};

use crate::{Error, Store, entity::setting};

/// [`Store::set`] on a connection or within a transaction.
pub(crate) async fn set(conn: &impl ConnectionTrait, key: &str, value: &str) -> Result<(), DbErr> {
    let row = setting::ActiveModel { key: Set(key.to_owned()), value: Set(value.to_owned()) };
    let mut clash = OnConflict::column(setting::Column::Key);
    clash.update_column(setting::Column::Value);
    setting::Entity::insert(row).on_conflict(clash).exec_without_returning(conn).await?;
    Ok(())
}

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
        Ok(set(&self.0.write, key, value).await?)
    }

    /// Sets the value under `key` unless there is one, and gives the stored one: two processes that start together get the same.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_once(&self, key: &str, value: &str) -> Result<String, Error> {
        let sql = "INSERT INTO setting (\"key\", value) VALUES ($1, $2) ON CONFLICT (\"key\") DO NOTHING";
        self.0.write.execute_raw(self.statement(sql, [key.into(), value.into()])).await?;
        self.setting(key).await?.ok_or_else(|| Error::Corrupt { table: "setting", detail: format!("{key} is gone") })
    }

    /// Replaces `old` by `new`, unless another process has changed it meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_setting(&self, key: &str, old: &str, new: &str) -> Result<(), Error> {
        let sql = "UPDATE setting SET value = $3 WHERE \"key\" = $1 AND value = $2";
        self.0.write.execute_raw(self.statement(sql, [key.into(), old.into(), new.into()])).await?;
        Ok(())
    }
}
