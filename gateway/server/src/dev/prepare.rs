//! Settings for a gateway on one's own machine: what is not configured is made once and kept in the data directory.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use billwire_store::secrets::Sealer;

use super::{certificate::Identity, files, ports::Ports, receiver};
use crate::{config::Settings, random};

/// Longest an event waits for the warehouse here, in milliseconds.
const WAREHOUSE_AGE_MS: u64 = 500;

/// What the rest of `dev` needs to know besides the settings.
#[derive(Debug)]
pub struct Secrets {
    /// The admin API key.
    pub admin_key: String,
    /// The file it stands in, unless it was configured.
    pub admin_key_file: Option<PathBuf>,
    /// What webhook calls are signed with.
    pub webhook: String,
    /// Whether that was made just now, so that an endpoint in the database has another one.
    pub webhook_is_new: bool,
    /// The file it stands in once the endpoint has it.
    pub webhook_file: PathBuf,
}

impl Secrets {
    /// Keeps the webhook secret for later starts, once the endpoint signs with it.
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

/// The folder of everything that belongs to `dev` alone.
///
/// # Errors
/// One line that names the folder.
pub fn folder(settings: &Settings) -> Result<PathBuf, String> {
    let folder = std::path::absolute(settings.data_dir.join("dev")).map_err(|e| format!("BILLWIRE_DATA_DIR: {e}"))?;
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

/// Makes or finds the keys and sets them.
///
/// # Errors
/// One line that says what is wrong.
pub fn secrets(settings: &mut Settings, folder: &std::path::Path) -> Result<Secrets, String> {
    if settings.master_key.is_none() && settings.master_key_file.is_none() {
        let path = settings.data_dir.join("master.key");
        // A fresh key beside a database that another one seals would leave every secret in it unreadable.
        if settings.database_url.is_none() && settings.data_dir.join("billwire.db").exists() && !path.exists() {
            return Err(format!(
                "the database in {} is sealed with a master key that is not here; set BILLWIRE_MASTER_KEY or BILLWIRE_MASTER_KEY_FILE \
                 to it, or BILLWIRE_DATA_DIR to another folder",
                settings.data_dir.display()
            ));
        }
        files::secret(&path, || Sealer::fresh_master_key().map_err(|e| e.to_string()))?;
        settings.master_key_file = Some(path);
    }
    let (admin_key, admin_key_file) = match &settings.admin_key {
        Some(key) => (key.clone(), None),
        None => {
            let path = folder.join("admin.key");
            let key = files::secret(&path, || Ok(format!("bw_{}", URL_SAFE_NO_PAD.encode(random::bytes::<32>()?))))?;
            settings.admin_key = Some(key.clone());
            (key, Some(path))
        }
    };
    let webhook_file = folder.join("webhook.secret");
    let (webhook, webhook_is_new) = match files::kept_secret(&webhook_file)? {
        Some(ring_buffer) => (ring_buffer, false),
        None => (billwire_app::Signing::Hmac.secret().map_err(|e| e.to_string())?.text, true),
    };
    Ok(Secrets { admin_key, admin_key_file, webhook, webhook_is_new, webhook_file })
}

/// Lets webhooks reach the local receiver, beside whatever is configured already.
///
/// # Errors
/// One line that names the file that cannot be read.
pub fn local_receiver(settings: &mut Settings, folder: &std::path::Path, identity: &Identity, ports: Ports) -> Result<(), String> {
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

/// What makes a story pleasant to watch.
pub fn comforts(settings: &mut Settings) {
    settings.test_clock = true;
    settings.warehouse_age_ms = settings.warehouse_age_ms.min(WAREHOUSE_AGE_MS);
    if settings.log == Settings::default().log {
        "warn".clone_into(&mut settings.log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_stays_and_what_is_made_is_found_again() {
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
        let identity = super::super::certificate::of(&folder, receiver::HOST).unwrap();
        local_receiver(&mut settings, &folder, &identity, Ports { receiver: 1, mailbox: 2, page: 3 }).unwrap();
        let to = settings.connect_to().unwrap();
        assert_eq!((to.len(), to[receiver::HOST].port()), (2, 1));
        let roots = std::fs::read_to_string(settings.webhook_ca_file.as_ref().unwrap()).unwrap();
        assert!(roots.starts_with("USER\n-----BEGIN CERTIFICATE"), "{roots}");
        assert_eq!(settings.master_keys().unwrap().len(), 1);

        first.keep_webhook().unwrap();
        let second = secrets(&mut again, &folder).unwrap();
        assert_eq!((second.admin_key, second.webhook, second.webhook_is_new), (first.admin_key, first.webhook, false));
        assert!(first.webhook_is_new);
        assert_eq!(again.master_keys().unwrap(), settings.master_keys().unwrap());
        assert_eq!(super::super::certificate::of(&folder, receiver::HOST).unwrap().leaf, identity.leaf);
        std::fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn a_database_whose_key_is_gone_is_not_given_another() {
        let data = std::env::temp_dir().join(format!("billwire-prepare-{}", billwire_schemas::ids::fresh()));
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("billwire.db"), "").unwrap();
        let mut settings = Settings { data_dir: data.clone(), ..Settings::default() };
        assert!(secrets(&mut settings, &data).unwrap_err().contains("BILLWIRE_MASTER_KEY"));
        std::fs::remove_dir_all(&data).unwrap();
    }
}
