//! `billwire login` and `logout`: keep the address and API key of a gateway for later commands, readable by this user alone.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use billwire_webhook::unguarded_client::UnguardedClient;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::{
    data_dir::write_private,
    output::{Output, answer},
};

/// How long the call that tries a key may take.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Longest name of a profile, in characters.
const NAME_MAX: usize = 64;

/// The name of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileName(String);

impl FromStr for ProfileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(format!("must have 1 to {NAME_MAX} letters, digits, '-' or '_'")) }
    }
}

/// The address and API key of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The gateway's API.
    pub api: Url,
    /// An API key.
    pub key: String,
}

/// A profile in its file.
#[derive(Serialize, Deserialize)]
struct Kept {
    api: String,
    key: String,
}

/// What to keep.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The gateway's API
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    api: Url,
    /// An API key; absent: it is read from standard input, so that it is in no history
    #[arg(long)]
    key: Option<String>,
    /// Name of the profile
    #[arg(long, default_value = "default")]
    profile: ProfileName,
}

/// What to forget.
#[derive(Debug, clap::Args)]
pub struct Forget {
    /// Name of the profile
    #[arg(long, default_value = "default")]
    profile: ProfileName,
}

/// Keeps a profile, if its key works.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(options: Options, output: Output) -> Result<(), String> {
    let Options { api, key, profile } = options;
    let key = match key {
        Some(key) => key,
        None => read_key()?,
    };
    try_key(&api, &key).await?;
    let path = path(&profile)?;
    if let Some(folder) = path.parent() {
        let mut making = fs::DirBuilder::new();
        making.recursive(true).mode(0o700).create(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let text = serde_json::to_string(&Kept { api: api.to_string(), key }).map_err(|error| error.to_string())?;
    write_private(&path, &text)?;
    answer(
        output,
        &format!("logged in to {api}; use it with --profile {}", profile.0),
        json!({ "profile": profile.0, "api": api.as_str() }),
    )
}

/// Forgets a profile.
///
/// # Errors
/// One line that names the file.
pub fn forget(options: &Forget, output: Output) -> Result<(), String> {
    let path = path(&options.profile)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(format!("{}: {error}", path.display())),
        _ => {}
    }
    answer(output, "logged out", json!({ "profile": options.profile.0 }))
}

/// The kept profile of this name.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn profile(name: &ProfileName) -> Result<Profile, String> {
    read(&path(name)?, name)
}

fn read(path: &Path, name: &ProfileName) -> Result<Profile, String> {
    let failed = |error: &dyn std::fmt::Display| format!("--profile: {}: {error}", path.display());
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("--profile: there is no profile '{}'; `billwire login --profile {}` makes one", name.0, name.0));
        }
        read => read.map_err(|error| failed(&error))?,
    };
    let mode = fs::metadata(path).map_err(|error| failed(&error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(failed(&"others may read it; revoke its key, or run chmod 600 on it"));
    }
    let Kept { api, key } = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    Ok(Profile { api: api.parse().map_err(|error| failed(&error))?, key })
}

/// The file of a profile, in the user's configuration folder (XDG Base Directory Specification).
fn path(profile: &ProfileName) -> Result<PathBuf, String> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = of("XDG_CONFIG_HOME").or_else(|| of("HOME").map(|home| home.join(".config")));
    let folder = folder.ok_or("HOME is not set, so there is no folder for profiles; set XDG_CONFIG_HOME")?;
    Ok(folder.join("billwire").join(format!("{}.json", profile.0)))
}

fn read_key() -> Result<String, String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    match line.trim() {
        "" => Err("give the API key with --key, or as a line of standard input".to_owned()),
        key => Ok(key.to_owned()),
    }
}

/// Calls the API with a key; whatever the key may do, it must be known.
async fn try_key(api: &Url, key: &str) -> Result<(), String> {
    let url = api.join("/v1/api-keys?limit=1").map_err(|error| format!("--api: {error}"))?;
    let (status, body) = UnguardedClient::new(CALL_MAX)?.get(url, key).await.map_err(|error| format!("{api}: {error}"))?;
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (status, said["code"].as_str()) {
        (200, _) | (403, Some("insufficient_scope")) => Ok(()),
        (_, Some(_)) => Err(format!("the API answered {status}: {}", said["detail"].as_str().unwrap_or_default())),
        _ => Err(format!("--api: {api} answered {status}, but not as Billwire does")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_kept_for_its_user_alone() {
        let folder = std::env::temp_dir().join(format!("billwire-profile-{}", billwire_schemas::ids::fresh()));
        fs::create_dir_all(&folder).expect("a folder");
        let (path, name) = (folder.join("a.json"), ProfileName("a".to_owned()));
        assert!(read(&path, &name).expect_err("none").contains("there is no profile 'a'"));
        write_private(&path, r#"{ "api": "https://billing.example/", "key": "bw_k" }"#).expect("written");
        let profile = Profile { api: "https://billing.example/".parse().expect("a URL"), key: "bw_k".to_owned() };
        assert_eq!(read(&path, &name), Ok(profile));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("opened");
        assert!(read(&path, &name).expect_err("refused").contains("others may read it"));
        let _ = fs::remove_dir_all(folder);
    }

    #[test]
    fn the_name_of_a_profile_leaves_no_folder() {
        for wrong in ["", "../x", "a/b", "a.b", &"x".repeat(65)] {
            assert!(wrong.parse::<ProfileName>().is_err(), "{wrong}");
        }
        assert!("prod-eu_1".parse::<ProfileName>().is_ok());
    }
}
