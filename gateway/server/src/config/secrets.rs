//! Keys that the settings have, or the files that they name.

use std::sync::Arc;

use billwire_bus::CalloutKeys;

use super::Settings;

impl Settings {
    /// The master keys, the current one first.
    ///
    /// # Errors
    /// When no key is set, or the file cannot be read.
    pub fn master_keys(&self) -> Result<Vec<String>, String> {
        let text = match (&self.master_key, &self.master_key_file) {
            (Some(key), _) => key.clone(),
            (None, Some(file)) => {
                std::fs::read_to_string(file).map_err(|e| format!("BILLWIRE_MASTER_KEY_FILE: {}: {e}", file.display()))?
            }
            (None, None) => {
                return Err("BILLWIRE_MASTER_KEY or BILLWIRE_MASTER_KEY_FILE must be set (32 random bytes in base64, e.g. from \
                            `openssl rand -base64 32`); `billwire dev` creates one"
                    .to_owned());
            }
        };
        Ok(text.split([',', '\n']).map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect())
    }

    /// The URL of the system account and the keys of the auth callout; `None`: subscribers cannot connect to the configured NATS.
    ///
    /// # Errors
    /// When only one of them is set, or the keys cannot be read.
    pub fn callout(&self) -> Result<Option<(String, Arc<CalloutKeys>)>, String> {
        let text = match (&self.nats_callout_seed, &self.nats_callout_seed_file) {
            (Some(seed), _) => Some(seed.clone()),
            (None, Some(file)) => {
                let failed = |e| format!("BILLWIRE_NATS_CALLOUT_SEED_FILE: {}: {e}", file.display());
                Some(std::fs::read_to_string(file).map_err(failed)?)
            }
            (None, None) => None,
        };
        match (&self.nats_callout_url, text) {
            (None, None) => Ok(None),
            (Some(url), Some(text)) if self.nats_url.is_some() => {
                let keys = CalloutKeys::parse(&text).map_err(|e| format!("BILLWIRE_NATS_CALLOUT_SEED: {e}"))?;
                Ok(Some((url.clone(), Arc::new(keys))))
            }
            (Some(_), Some(_)) => {
                Err("BILLWIRE_NATS_CALLOUT_URL is of a NATS of your own: set BILLWIRE_NATS_URL too; the private one needs neither"
                    .to_owned())
            }
            _ => {
                Err("BILLWIRE_NATS_CALLOUT_URL and BILLWIRE_NATS_CALLOUT_SEED (or _SEED_FILE) belong together: set both or neither"
                    .to_owned())
            }
        }
    }
}
