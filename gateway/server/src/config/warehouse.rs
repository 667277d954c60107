//! Where the warehouse is.

use billwire_warehouse::Directory;

use super::Settings;
use crate::data_dir;

impl Settings {
    /// The warehouse's URL.
    ///
    /// # Errors
    /// When the URL is not that of a local directory, or the data directory has no absolute path.
    pub fn warehouse(&self) -> Result<String, String> {
        let url = match &self.warehouse_url {
            Some(url) => url.clone(),
            None => {
                let path = std::path::absolute(self.data_dir.join("warehouse")).map_err(|e| format!("data_dir: {e}"))?;
                format!("file://{}", path.display())
            }
        };
        Directory::open(&url).map_err(|e| format!("BILLWIRE_WAREHOUSE_URL: {e}"))?;
        Ok(url)
    }

    /// The directory of the warehouse. Other users may read one that was configured.
    ///
    /// # Errors
    /// As [`Settings::warehouse`].
    pub fn warehouse_directory(&self) -> Result<Directory, String> {
        let directory = Directory::open(&self.warehouse()?).map_err(|e| format!("BILLWIRE_WAREHOUSE_URL: {e}"))?;
        Ok(if self.warehouse_url.is_some() { directory.shared(data_dir::usual_umask()) } else { directory })
    }
}
