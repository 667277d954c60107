//! Completes the settings for a gateway on this machine: what is not configured is created once and kept in the data directory.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use billwire_schemas::signing_secret::{self, Key};

use crate::{Settings, certificate::Identity, files, ports::Ports, receiver};

/// The secrets that the rest of `dev` uses.
#[derive(Debug)]
pub struct Secrets {
    /// The admin API key.
    pub admin_key: String,
    /// The file that holds the admin API key, unless the key is configured.
    pub admin_key_file: Option<PathBuf>,
    /// The secret that signs webhook calls.
    pub webhook: String,
    /// Whether the webhook secret is new, so that an endpoint already in the database has another one.
    pub webhook_is_new: bool,
    /// The file that holds the webhook secret once the endpoint has it.
    pub webhook_file: PathBuf,
}

impl Secrets {
    /// Saves the webhook secret for later starts. Call it once the endpoint signs with that secret.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn keep_webhook(&self) -> Result<(), String> {
        if !self.webhook_is_new {
            return Ok(());
        }
        files::write(&self.webhook_file, format!("{}\n", self.webhook).as_bytes(), files::PRIVATE)
    }
}

/// Creates the folder for the files that only `dev` uses.
///
/// # Errors
/// One line that names the folder.
pub fn folder(settings: &Settings) -> Result<PathBuf, String> {
    let folder = std::path::absolute(settings.data_dir.join("dev")).map_err(|e| format!("BILLWIRE_DATA_DIR: {e}"))?;
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

/// Loads the keys, or creates them, and sets them in `settings`.
///
/// # Errors
/// One line that says what is wrong.
pub fn secrets(settings: &mut Settings, folder: &Path) -> Result<Secrets, String> {
    if settings.master_key.is_none() && settings.master_key_file.is_none() {
        let path = settings.data_dir.join("master.key");
        // With a new key, the secrets in an existing database could not be decrypted.
        if settings.database_url.is_none() && settings.data_dir.join("billwire.db").exists() && !path.exists() {
            return Err(format!(
                "the database in {} is encrypted with a master key that is not there; set BILLWIRE_MASTER_KEY or \
                 BILLWIRE_MASTER_KEY_FILE to that key, or BILLWIRE_DATA_DIR to another folder",
                settings.data_dir.display()
            ));
        }
        files::secret(&path, || Ok(STANDARD.encode(random()?)))?;
        settings.master_key_file = Some(path);
    }
    let (admin_key, admin_key_file) = match &settings.admin_key {
        Some(key) => (key.clone(), None),
        None => {
            let path = folder.join("admin.key");
            let key = files::secret(&path, || Ok(format!("bw_{}", URL_SAFE_NO_PAD.encode(random()?))))?;
            settings.admin_key = Some(key.clone());
            (key, Some(path))
        }
    };
    let webhook_file = folder.join("webhook.secret");
    let (webhook, webhook_is_new) = match files::kept_secret(&webhook_file)? {
        Some(kept) => (kept, false),
        None => (signing_secret::encode(&Key::Shared(random()?.to_vec())).map_err(|e| e.to_string())?, true),
    };
    Ok(Secrets { admin_key, admin_key_file, webhook, webhook_is_new, webhook_file })
}

/// Lets webhooks reach the local receiver, in addition to what is configured.
///
/// # Errors
/// One line that names the file that cannot be read.
pub fn local_receiver(settings: &mut Settings, folder: &Path, identity: &Identity, ports: Ports) -> Result<(), String> {
    let to = format!("{}=127.0.0.1:{}", receiver::HOST, ports.receiver);
    settings.webhook_connect_to = match settings.webhook_connect_to.trim().trim_end_matches(',') {
        "" => to,
        configured => format!("{configured},{to}"),
    };
    settings.webhook_ca_file = Some(match &settings.webhook_ca_file {
        None => identity.authority.clone(),
        Some(configured) => {
            let read = |path: &PathBuf| std::fs::read(path).map_err(|e| format!("BILLWIRE_WEBHOOK_CA_FILE: {}: {e}", path.display()));
            let both = [read(configured)?, read(&identity.authority)?].join(&b'\n');
            let path = folder.join("roots.pem");
            files::write(&path, &both, files::PUBLIC)?;
            path
        }
    });
    Ok(())
}

fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| "the system's random number generator failed".to_owned())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_settings_stay_and_created_ones_are_loaded_again() {
        let data = std::env::temp_dir().join(format!("billwire-prepare-{}", billwire_schemas::ids::fresh()));
        let user_roots = data.join("user.pem");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(&user_roots, "USER").unwrap();
        let mut settings = Settings {
            data_dir: data.clone(),
            webhook_connect_to: "hooks.example=10.0.0.1:443".into(),
            webhook_ca_file: Some(user_roots),
            ..Settings::default()
        };
        let mut again = settings.clone();
        let folder = folder(&settings).unwrap();
        let first = secrets(&mut settings, &folder).unwrap();
        let identity = crate::certificate::load_or_create(&folder, receiver::HOST).unwrap();
        local_receiver(&mut settings, &folder, &identity, Ports { receiver: 1, mailbox: 2, page: 3 }).unwrap();
        assert_eq!(settings.webhook_connect_to, format!("hooks.example=10.0.0.1:443,{}=127.0.0.1:1", receiver::HOST));
        let roots = std::fs::read_to_string(settings.webhook_ca_file.as_ref().unwrap()).unwrap();
        assert!(roots.starts_with("USER\n-----BEGIN CERTIFICATE"), "{roots}");
        let master_key = std::fs::read_to_string(settings.master_key_file.as_ref().unwrap()).unwrap();
        assert_eq!(STANDARD.decode(master_key.trim()).unwrap().len(), 32);

        first.keep_webhook().unwrap();
        let second = secrets(&mut again, &folder).unwrap();
        assert_eq!((second.admin_key, second.webhook, second.webhook_is_new), (first.admin_key, first.webhook, false));
        assert!(first.webhook_is_new);
        assert_eq!(again.master_key_file, settings.master_key_file);
        assert_eq!(std::fs::read_to_string(again.master_key_file.unwrap()).unwrap(), master_key);
        assert_eq!(crate::certificate::load_or_create(&folder, receiver::HOST).unwrap().leaf, identity.leaf);
        std::fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn no_new_master_key_is_created_for_an_existing_database() {
        let data = std::env::temp_dir().join(format!("billwire-prepare-{}", billwire_schemas::ids::fresh()));
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("billwire.db"), "").unwrap();
        let mut settings = Settings { data_dir: data.clone(), ..Settings::default() };
        assert!(secrets(&mut settings, &data).unwrap_err().contains("BILLWIRE_MASTER_KEY"));
        std::fs::remove_dir_all(&data).unwrap();
    }
}
