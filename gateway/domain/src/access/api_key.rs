//! API keys: the credentials of programs and people. Their texts are not part of them; `app` makes the texts and stores their hashes.

use std::net::IpAddr;

use billwire_schemas::{
    clock::Timestamp,
    ids::{ApiKeyId, TenantId},
    refusal::Code,
};
use chrono::{SecondsFormat, TimeDelta};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    access::{
        grant::Grant,
        role::{self, Role},
        scopes,
    },
    change::{Change, Entity, entity_members},
    rejected::{Rejected, Violation},
};

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Object id.
    pub id: ApiKeyId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant; the actor of the key's business transactions.
    pub name: String,
    /// How the key's text begins, to recognise it; absent: it was not made here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub starts_with: Option<String>,
    /// What the key may do besides what its roles allow; `*` is everything.
    pub scopes: Vec<String>,
    /// Names of its roles.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<String>,
    /// When it stops working; absent: never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
    /// The networks it may be used from; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allowed_networks: Vec<IpNet>,
    /// The actor that created it.
    pub created_by: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// When its text was last replaced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rotated_at: Option<Timestamp>,
    /// Until when the text before the latest works too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub former_works_until: Option<Timestamp>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revoked_at: Option<Timestamp>,
}

/// `createApiKey`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new key's id.
    pub id: ApiKeyId,
    /// See [`ApiKey::name`].
    pub name: String,
    /// See [`ApiKey::starts_with`].
    pub starts_with: Option<String>,
    /// See [`ApiKey::scopes`].
    pub scopes: Vec<String>,
    /// See [`ApiKey::roles`].
    pub roles: Vec<String>,
    /// See [`ApiKey::expires_at`].
    pub expires_at: Option<Timestamp>,
    /// See [`ApiKey::allowed_networks`], as written in the request.
    pub allowed_networks: Vec<String>,
}

/// Who grants a key.
#[derive(Debug, Clone)]
pub struct Granter {
    /// Their name.
    pub actor: String,
    /// What they may do themselves.
    pub grant: Grant,
}

/// `rotateApiKey`.
#[derive(Debug, Clone)]
pub struct Rotate {
    /// How the new text begins.
    pub starts_with: String,
    /// How long the current text works besides the new one, in seconds.
    pub overlap: u32,
}

/// Why a key cannot be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It was revoked, or it has expired.
    Ended,
    /// Not from this network.
    Network,
}

/// Years that an expiry may be ahead.
const YEARS_MAX: i64 = 10;

/// Decides `createApiKey`. Gives the key that `granter` may grant; `own_roles` are the tenant's.
///
/// # Errors
/// `scope_unknown`, `role_unknown`, `nothing_granted`, `expiry_not_ahead`, `network_invalid`, and what [`Grant::ensure_holds`] refuses.
pub fn create(command: Create, granter: Granter, own_roles: &[Role], now: Timestamp) -> Result<Change<ApiKey>, Rejected> {
    let Create { id, name, starts_with, mut scopes, mut roles, expires_at, allowed_networks } = command;
    let mut broken = scopes::unknown(&scopes);
    let granted = role::named(&roles, own_roles).unwrap_or_else(|unknown| {
        broken.extend(unknown);
        Vec::new()
    });
    if scopes.is_empty() && roles.is_empty() {
        broken.push(Violation::new("", Code::NothingGranted, "Give the key at least one scope or role."));
    }
    let latest = now + TimeDelta::days(YEARS_MAX * 366);
    if expires_at.is_some_and(|at| at <= now || at > latest) {
        let now = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let message = format!("The expiry must be later than now, {now}, and within {YEARS_MAX} years.");
        broken.push(Violation::new("/expiresAt", Code::ExpiryNotAhead, message));
    }
    let mut networks = Vec::new();
    for (index, text) in allowed_networks.iter().enumerate() {
        match network(text) {
            Some(network) => networks.push(network),
            None => {
                let message = format!("'{text}' is not an IP address or network, such as 203.0.113.7, 198.51.100.0/24 or 2001:db8::/32.");
                broken.push(Violation::new(format!("/allowedNetworks/{index}"), Code::NetworkInvalid, message));
            }
        }
    }
    Rejected::from_violations(broken).map_or(Ok(()), Err)?;
    granter.grant.ensure_holds(&Grant::of(&scopes, &granted))?;
    for names in [&mut scopes, &mut roles] {
        names.sort();
        names.dedup();
    }
    Ok(Change::created(ApiKey {
        id,
        version: 1,
        name,
        starts_with,
        scopes,
        roles,
        expires_at,
        allowed_networks: networks,
        created_by: granter.actor,
        created_at: now,
        rotated_at: None,
        former_works_until: None,
        revoked_at: None,
    }))
}

/// An address or a network, without the bits beyond its prefix.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(network.trunc())
}

/// Decides `rotateApiKey`.
///
/// # Errors
/// `api_key_revoked`, `api_key_expired`.
pub fn rotate(key: ApiKey, command: Rotate, now: Timestamp) -> Result<Change<ApiKey>, Rejected> {
    key.ensure_not_revoked()?;
    if key.has_expired(now) {
        return Err(Rejected::conflict(Code::ApiKeyExpired, "The API key has expired; create a new one."));
    }
    let mut after = key.next_version(now);
    after.starts_with = Some(command.starts_with);
    after.rotated_at = Some(now);
    after.former_works_until = (command.overlap > 0).then(|| now + TimeDelta::seconds(command.overlap.into()));
    Ok(Change::updated(key, after, Vec::<&'static str>::new()))
}

/// Decides `revokeApiKey`.
///
/// # Errors
/// `api_key_revoked`.
pub fn revoke(key: ApiKey, now: Timestamp) -> Result<Change<ApiKey>, Rejected> {
    key.ensure_not_revoked()?;
    let mut after = key.next_version(now);
    after.revoked_at = Some(now);
    Ok(Change::updated(key, after, Vec::<&'static str>::new()))
}

/// A key whose text an operator has replaced in the configuration: in force, also if it was revoked with its former text.
pub fn set_anew(key: ApiKey, now: Timestamp) -> Change<ApiKey> {
    let mut after = key.next_version(now);
    (after.rotated_at, after.former_works_until, after.revoked_at) = (Some(now), None, None);
    Change::updated(key, after, Vec::<&'static str>::new())
}

impl ApiKey {
    /// What it allows; `own_roles` are the tenant's. A role that is gone allows nothing.
    pub fn grant(&self, own_roles: &[Role]) -> Grant {
        let predefined: Vec<Role> = role::predefined().filter(|role| self.roles.contains(&role.name)).collect();
        let own = own_roles.iter().filter(|role| self.roles.contains(&role.name));
        Grant::of(&self.scopes, predefined.iter().chain(own))
    }

    fn ensure_not_revoked(&self) -> Result<(), Rejected> {
        if self.revoked_at.is_some() {
            return Err(Rejected::conflict(Code::ApiKeyRevoked, "The API key is revoked already."));
        }
        Ok(())
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it may be used `now` from this address; `None` is an address that is not known.
    ///
    /// # Errors
    /// Why not.
    pub fn ensure_usable(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), Unusable> {
        if self.revoked_at.is_some() || self.has_expired(now) {
            return Err(Unusable::Ended);
        }
        let inside = |address: IpAddr| self.allowed_networks.iter().any(|network| network.contains(&address.to_canonical()));
        if self.allowed_networks.is_empty() || from.is_some_and(inside) { Ok(()) } else { Err(Unusable::Network) }
    }

    /// Whether it may be deleted: it can no longer be used.
    ///
    /// # Errors
    /// `api_key_in_force`.
    pub fn ensure_ended(&self, now: Timestamp) -> Result<(), Rejected> {
        if self.ensure_usable(None, now) == Err(Unusable::Ended) {
            return Ok(());
        }
        Err(Rejected::conflict(Code::ApiKeyInForce, "The API key is in force; revoke it first."))
    }
}

/// The part of a key's text that says whose it is: `bw_<tenant>_`.
pub fn text_prefix(tenant: &TenantId) -> String {
    format!("bw_{tenant}_")
}

impl Entity for ApiKey {
    const TYPE: &'static str = "apiKey";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;
    use crate::access::role::tests::role;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a moment")
    }

    fn command() -> Create {
        Create {
            id: ApiKeyId(fresh()),
            name: "crm".to_owned(),
            starts_with: Some("bw_default_abcd".to_owned()),
            scopes: vec!["events:read".to_owned(), "accounts:read".to_owned(), "events:read".to_owned()],
            roles: vec!["finance".to_owned(), "till".to_owned()],
            expires_at: Some(at(100)),
            allowed_networks: vec!["198.51.100.77/24".to_owned(), "2001:db8::7".to_owned()],
        }
    }

    fn admin() -> Granter {
        Granter { actor: "admin".to_owned(), grant: Grant::everything() }
    }

    fn till() -> Role {
        role("till", &["payments:write"], &[])
    }

    fn created(command: Create, granter: Granter) -> Result<ApiKey, Rejected> {
        create(command, granter, &[till()], at(0)).map(|change| change.after)
    }

    fn key() -> ApiKey {
        created(command(), admin()).expect("made")
    }

    #[test]
    fn a_key_allows_what_its_scopes_and_roles_do_and_a_role_that_is_gone_nothing() {
        let key = key();
        let grant = key.grant(&[till()]);
        for scope in ["accounts:read", "payments:write", "bill_runs:write"] {
            assert!(grant.includes(scope), "{scope}");
        }
        assert!(!grant.includes("accounts:write"));
        let alone = ApiKey { scopes: Vec::new(), roles: vec!["till".to_owned()], ..key };
        assert_eq!(alone.grant(&[till()]).scopes, ["payments:write"]);
        assert_eq!(alone.grant(&[]), Grant::default());
    }

    #[test]
    fn a_key_has_each_scope_once_whole_networks_and_who_made_it() {
        let key = key();
        assert_eq!(key.scopes, ["accounts:read", "events:read"]);
        assert_eq!(key.allowed_networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["198.51.100.0/24", "2001:db8::7/128"]);
        assert_eq!((key.created_by.as_str(), key.created_at), ("admin", at(0)));
    }

    #[test]
    fn each_wrong_member_is_named() {
        let scopes = vec!["accounts:read".to_owned(), "acounts:read".to_owned()];
        let allowed_networks = vec!["10.0.0.0/40".to_owned(), "::1".to_owned()];
        let roles = vec!["finanse".to_owned()];
        let wrong = Create { scopes, roles, expires_at: Some(at(0)), allowed_networks, ..command() };
        let refused = created(wrong, admin()).expect_err("refused");
        let places: Vec<_> = refused.violations.iter().map(|broken| (broken.pointer.as_ref(), broken.code)).collect();
        let expected = [
            ("/scopes/1", Code::ScopeUnknown),
            ("/roles/0", Code::RoleUnknown),
            ("/expiresAt", Code::ExpiryNotAhead),
            ("/allowedNetworks/0", Code::NetworkInvalid),
        ];
        assert_eq!(places, expected);
        let late = Create { expires_at: Some(at(11 * 366 * 24 * 3600)), ..command() };
        assert_eq!(created(late, admin()).expect_err("refused").code, Code::ExpiryNotAhead);
        let nothing = Create { scopes: Vec::new(), roles: Vec::new(), ..command() };
        assert_eq!(created(nothing, admin()).expect_err("refused").code, Code::NothingGranted);
        let reader = || Granter { grant: Grant::of(&["accounts:read".to_owned()], []), ..admin() };
        assert_eq!(created(command(), reader()).expect_err("refused").code, Code::ScopeNotHeld);
        let by_role = Create { scopes: Vec::new(), roles: vec!["till".to_owned()], ..command() };
        assert_eq!(created(by_role, reader()).expect_err("refused").code, Code::ScopeNotHeld);
    }

    #[test]
    fn it_may_be_used_until_it_expires_or_is_revoked_and_from_its_networks_alone() {
        let address = |text: &str| Some(text.parse().expect("an address"));
        for (from, now, expected) in [
            (address("198.51.100.1"), 99, Ok(())),
            (address("::ffff:198.51.100.1"), 99, Ok(())),
            (address("2001:db8::7"), 99, Ok(())),
            (address("198.51.101.1"), 99, Err(Unusable::Network)),
            (address("2001:db8::8"), 99, Err(Unusable::Network)),
            (None, 99, Err(Unusable::Network)),
            (address("198.51.100.1"), 100, Err(Unusable::Ended)),
        ] {
            assert_eq!(key().ensure_usable(from, at(now)), expected, "{from:?} at {now}");
        }
        let open = ApiKey { allowed_networks: Vec::new(), expires_at: None, ..key() };
        assert_eq!(open.ensure_usable(None, at(1_000_000)), Ok(()));
        let revoked = revoke(open, at(5)).expect("revoked").after;
        assert_eq!((revoked.ensure_usable(None, at(6)), revoked.revoked_at), (Err(Unusable::Ended), Some(at(5))));
    }

    #[test]
    fn a_rotation_keeps_the_former_text_for_the_overlap() {
        let rotated =
            |overlap| rotate(key(), Rotate { starts_with: "bw_default_wxyz".to_owned(), overlap }, at(10)).expect("rotated").after;
        assert_eq!((rotated(60).former_works_until, rotated(60).rotated_at, rotated(60).version), (Some(at(70)), Some(at(10)), 2));
        assert_eq!(rotated(0).former_works_until, None);
        let new = || Rotate { starts_with: String::new(), overlap: 0 };
        assert_eq!(rotate(key(), new(), at(100)).expect_err("refused").code, Code::ApiKeyExpired);
        let revoked = revoke(key(), at(5)).expect("revoked").after;
        assert_eq!(rotate(revoked.clone(), new(), at(6)).expect_err("refused").code, Code::ApiKeyRevoked);
        assert_eq!(revoke(revoked, at(6)).expect_err("refused").code, Code::ApiKeyRevoked);
    }

    #[test]
    fn only_a_key_that_can_no_longer_be_used_is_deleted() {
        assert_eq!(key().ensure_ended(at(99)).expect_err("refused").code, Code::ApiKeyInForce);
        assert_eq!(key().ensure_ended(at(100)), Ok(()));
        assert_eq!(revoke(key(), at(5)).expect("revoked").after.ensure_ended(at(6)), Ok(()));
    }
}
