//! `billwire login` and `logout`: keep the address of a gateway for later commands, with an API key or a person's tokens, readable by this
//! user alone.

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
    sign_in::{self, Session, SignedIn},
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

/// The address of a gateway, and what to call it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The gateway's API.
    pub api: Url,
    /// An API key, or a token.
    pub key: String,
}

/// A profile in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    api: String,
    /// An API key, or a token.
    key: String,
    /// How the token is replaced, if it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    session: Option<Session>,
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
    #[command(flatten)]
    sign_in: sign_in::SignInOptions,
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

/// Keeps a profile, if its key or token works.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(options: Options, output: Output) -> Result<(), String> {
    let Options { api, key, sign_in, profile } = options;
    let (key, session) = match (key, sign_in::sign_in(&sign_in).await?) {
        (_, Some(SignedIn { token, session })) => (token, Some(session)),
        (Some(key), None) => (key, None),
        (None, None) => (read_key()?, None),
    };
    try_key(&api, &key).await?;
    let path = path(&profile)?;
    if let Some(folder) = path.parent() {
        let mut making = fs::DirBuilder::new();
        making.recursive(true).mode(0o700).create(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    write(&path, &Kept { api: api.to_string(), key, session })?;
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

/// The kept profile of this name. A token that has ended is replaced, and kept.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn profile(name: &ProfileName) -> Result<Profile, String> {
    let path = path(name)?;
    let kept = refreshed(&path, name, read(&path, name)?).await?;
    let api = kept.api.parse().map_err(|error| format!("--profile: {}: {error}", path.display()))?;
    Ok(Profile { api, key: kept.key })
}

/// The profile with a token that works.
async fn refreshed(path: &Path, name: &ProfileName, kept: Kept) -> Result<Kept, String> {
    let Some(session) = kept.session.as_ref().filter(|session| session.has_ended()) else { return Ok(kept) };
    match session.refreshed().await {
        Ok(SignedIn { token, session }) => {
            let kept = Kept { key: token, session: Some(session), ..kept };
            write(path, &kept)?;
            Ok(kept)
        }
        Err(error) => {
            // A refresh token may work once alone: another command has used it at the same time, and kept what it got.
            let now = read(path, name)?;
            let replaced = now.key != kept.key && now.session.as_ref().is_some_and(|session| !session.has_ended());
            if replaced { Ok(now) } else { Err(format!("--profile {0}: {error}; `billwire login --profile {0}` signs in again", name.0)) }
        }
    }
}

/// Replaces the file at once: another command may be reading it.
fn write(path: &Path, kept: &Kept) -> Result<(), String> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    write_private(&new, &serde_json::to_string(kept).map_err(|error| error.to_string())?)?;
    fs::rename(&new, path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path, name: &ProfileName) -> Result<Kept, String> {
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
    serde_json::from_str(&text).map_err(|error| failed(&error))
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
        let kept = Kept { api: "https://billing.example/".to_owned(), key: "bw_k".to_owned(), session: None };
        assert_eq!(read(&path, &name), Ok(kept));
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
