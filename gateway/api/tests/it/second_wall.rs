//! PostgreSQL's row-level security: what holds when a query forgets its tenant. SQLite has no such wall.

use std::{process::Command, sync::Arc};

use billwire_app::domain::{access::role::Role, customers::account::Account};
use billwire_schemas::ids::{OrderingKey, TenantId};
use billwire_store::{
    ConfigurationKind, Tx,
    commit::{Failure, Unit},
    idempotency::{Claim, Reply},
    within,
};
use serde_json::json;

use crate::rig::Rig;

fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant")
}

/// What a connection that is set to these tenants answers.
fn seen(rig: &Rig, tenants: &str, sql: &str) -> String {
    let mut psql = Command::new("psql");
    let done = psql.env("PGOPTIONS", format!("-c billwire.tenants={tenants}")).args([rig.url(), "-tAqc", sql]).output().expect("psql");
    String::from_utf8_lossy(if done.status.success() { &done.stdout } else { &done.stderr }).trim().to_owned()
}

/// Saves a role for another tenant than its own.
struct Forgetful;

#[async_trait::async_trait]
impl Unit for Forgetful {
    fn tenant(&self) -> &TenantId {
        static OWN: std::sync::LazyLock<TenantId> = std::sync::LazyLock::new(|| tenant("other"));
        &OWN
    }
    fn keys(&self) -> Vec<OrderingKey> {
        vec![OrderingKey::CONFIGURATION]
    }
    fn claim(&self) -> Option<&Claim> {
        None
    }
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure> {
        let role: Role = serde_json::from_value(json!({
            "id": "0197f7a0-0000-7000-8000-000000000001", "version": 1, "name": "smuggled", "scopes": ["*"],
            "createdAt": "2030-01-01T00:00:00Z", "updatedAt": "2030-01-01T00:00:00Z",
        }))
        .expect("a role");
        tx.save_configuration_of(&tenant("default"), ConfigurationKind::Role, "smuggled", &role)?;
        // A group without a record or a statement is not written at all.
        tx.set("smuggled", "true".to_owned());
        Ok(Reply { status: 200, body: String::new(), entity: None, secret: false, replayed: false })
    }
}

#[tokio::test]
async fn a_query_that_forgets_its_tenant_finds_nothing_of_others() {
    for rig in Rig::everywhere().await.into_iter().filter(|rig| rig.url().starts_with("postgres")) {
        let cycle = rig.cycle(1).await;
        let account = rig.account(&cycle).await;
        let owner = tenant("default");
        let find = || rig.store.find::<Account>(&owner, &account);
        assert!(find().await.expect("an answer").is_some(), "the gateway's own work sees all");
        // The query asks for the tenant whose account it is; the caller is another one.
        assert!(within(tenant("other"), find()).await.expect("an answer").is_none());
        assert!(within(tenant("default"), find()).await.expect("an answer").is_some());
        let keys =
            within(tenant("other"), rig.store.configurations::<serde_json::Value>(&tenant("default"), ConfigurationKind::ApiKey)).await;
        assert_eq!(keys.expect("an answer"), Vec::<serde_json::Value>::new());

        let all = "SELECT count(*) FROM account";
        assert_eq!([seen(&rig, "*", all), seen(&rig, "default", all), seen(&rig, "other,default", all)], ["1"; 3]);
        assert_eq!([seen(&rig, "other", all), seen(&rig, "", all), seen(&rig, "defaul", all)], ["0"; 3]);
        assert_eq!(seen(&rig, "other", "UPDATE account SET version = 9 RETURNING id"), "");
        let smuggled = seen(
            &rig,
            "other",
            "UPDATE bill_cycle SET tenant = 'other'; INSERT INTO health VALUES (gen_random_uuid(), 'default', 1, 1, 1, 1)",
        );
        assert!(smuggled.contains("violates row-level security policy"), "{smuggled}");
    }
}

#[tokio::test]
async fn an_operation_that_saves_for_another_tenant_is_not_committed() {
    for rig in Rig::everywhere().await.into_iter().filter(|rig| rig.url().starts_with("postgres")) {
        assert!(rig.store.commit(Arc::new(Forgetful)).await.is_err());
        let roles = rig.store.configurations::<Role>(&tenant("default"), ConfigurationKind::Role).await.expect("roles");
        assert_eq!(roles.len(), 0);
    }
}

#[tokio::test]
async fn every_table_with_a_tenant_has_the_wall_also_after_somebody_took_it_away() {
    const COMMON: &str = "identity_provider tenant_deletion";
    const OPEN: &str = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' \
                        WHERE c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)";
    for rig in Rig::everywhere().await.into_iter().filter(|rig| rig.url().starts_with("postgres")) {
        assert_eq!(seen(&rig, "*", OPEN), COMMON);
        assert_eq!(seen(&rig, "*", "ALTER TABLE account NO FORCE ROW LEVEL SECURITY; DROP POLICY billwire_tenants_1 ON event"), "");
        rig.beside().await;
        assert_eq!(seen(&rig, "*", OPEN), COMMON);
        let policies = "SELECT count(*) FROM pg_policy WHERE polrelid = 'event'::regclass";
        assert_eq!(seen(&rig, "*", policies), "1", "the next start has put it back");
    }
}
