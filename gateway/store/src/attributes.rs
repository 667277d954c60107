//! Table `attribute`: finds objects by their custom attributes.
//!
//! A row has a digest of name and text, and not the text: that may be longer than an index of PostgreSQL takes. The object has it in its body.

use std::collections::BTreeSet;

use billwire_domain::attributes::Attributes;
use billwire_schemas::ids::TenantId;
use sea_orm::{
    Value,
    sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement},
};
use uuid::Uuid;

use crate::filter::column;

/// The digest of an attribute of a tenant's objects of a type. Only the text, at the end, can contain a line break.
fn digest(tenant: &TenantId, kind: &str, (name, text): (&str, &str)) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{tenant}\n{kind}\n{name}\n{text}").as_bytes())
}

/// The ids of the tenant's objects of a type that have all of these attributes.
pub(crate) fn with(tenant: &TenantId, kind: &str, wanted: &[(&str, &str)]) -> SelectStatement {
    let digests: BTreeSet<Uuid> = wanted.iter().map(|one| digest(tenant, kind, *one)).collect();
    let count = i64::try_from(digests.len()).unwrap_or(i64::MAX);
    let mut ids = Query::select();
    ids.column(Alias::new("object_id")).from(Alias::new("attribute")).and_where(column("digest").is_in(digests));
    if count > 1 {
        ids.add_group_by([column("object_id")]).and_having(Expr::cust("COUNT(*)").eq(count));
    }
    ids
}

/// The statement that removes an object's attributes.
pub(crate) fn removed(id: Uuid) -> (String, Vec<Value>) {
    ("DELETE FROM attribute WHERE object_id = $1".to_owned(), vec![id.into()])
}

/// The statement that adds an object's attributes; `None` if it has none.
pub(crate) fn added(tenant: &TenantId, kind: &str, id: Uuid, attributes: &Attributes) -> Option<(String, Vec<Value>)> {
    let mut values = vec![Value::from(id)];
    values.extend(attributes.iter().map(|one| Value::from(digest(tenant, kind, one))));
    let rows: Vec<String> = (2..=values.len()).map(|n| format!("($1, ${n})")).collect();
    (!rows.is_empty()).then(|| (format!("INSERT INTO attribute (object_id, digest) VALUES {}", rows.join(", ")), values))
}

#[cfg(test)]
mod tests {
    use billwire_domain::customers::account::Account;
    use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Statement};

    use super::*;
    use crate::{filter::Filter, objects::TableOf, transaction::tests::store};

    #[tokio::test]
    async fn a_list_by_attributes_reads_what_has_them_and_no_other_object() {
        let (store, folder) = store().await;
        let tenant = TenantId::default_tenant();
        let filter = Filter::new().attributes::<Account>(&tenant, &[("region", "EMEA"), ("tier", "gold")]);
        let find = TableOf::<Account>::find().filter(filter.of(&tenant)).order_by(column("id"), Order::Asc).limit(51);
        let Statement { sql, values, db_backend } = find.build(DbBackend::Sqlite);
        let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {sql}"), values, db_backend };
        let steps = store.0.read.query_all_raw(explain).await.expect("a plan");
        let plan = steps.iter().map(|step| step.try_get::<String>("", "detail").expect("a step")).collect::<Vec<_>>().join("\n");
        assert!(plan.contains("SEARCH attribute USING COVERING INDEX sqlite_autoindex_attribute_1 (digest=?)"), "{plan}");
        assert!(plan.contains("SEARCH account USING INDEX account_list (tenant=? AND id=?)"), "{plan}");
        assert!(!plan.contains("FOR ORDER BY"), "{plan}");
        let _ = std::fs::remove_dir_all(folder);
    }
}
