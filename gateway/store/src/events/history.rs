//! The history: business transactions and events as they were recorded, newest first.

use std::collections::HashMap;

use billwire_domain::access::audit::Kind;
use billwire_schemas::{
    clock::Timestamp,
    events::selection::{is_pattern, means},
    ids::{AccountId, EventId, OrderingKey, TenantId, TransactionId},
};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use uuid::Uuid;

use crate::{
    Backend, Error, Store,
    audit::AuditEntries,
    batching::filled,
    micros,
    page::{After, Listed, Page, PageRequest},
};

/// Selects business transactions.
#[derive(Debug, Clone, Default)]
pub struct Transactions {
    /// Only of this operation.
    pub operation: Option<String>,
    /// Only of this account.
    pub account: Option<AccountId>,
    /// Only those that changed this object.
    pub object: Option<String>,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub to: Option<Timestamp>,
}

/// Selects events.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// Only of this type, or of the types that this pattern matches.
    pub kind: Option<String>,
    /// Only with this ordering key.
    pub key: Option<OrderingKey>,
    /// Only about this object.
    pub object: Option<String>,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub to: Option<Timestamp>,
}

/// A statement built condition by condition.
struct Query {
    conditions: Vec<String>,
    values: Vec<Value>,
    /// Numbers of the values that are event types, if the list is merged from those of several.
    kinds: Vec<usize>,
}

/// Maximum number of event types whose lists are merged. A statement of SQLite has at most 500 parts.
const KINDS_MAX: usize = 300;

impl Query {
    fn of(tenant: &TenantId) -> Self {
        Self { conditions: vec!["tenant = $1".to_owned()], values: vec![tenant.as_str().into()], kinds: Vec::new() }
    }

    /// The business transactions of an object, which are few. The signs keep SQLite from the indexes that give the order, and so from reading
    /// all transactions of the tenant.
    fn of_object(tenant: &TenantId, object: String, backend: Backend) -> Self {
        let sign = if backend == Backend::Sqlite { "+" } else { "" };
        let mut query = Self { conditions: vec![format!("{sign}tenant = $1")], ..Self::of(tenant) };
        query.and(
            "id IN (SELECT id FROM business_transaction WHERE tenant = $1 AND object_id = ? \
             UNION ALL SELECT transaction_id FROM event WHERE tenant = $1 AND object_id = ?)",
            Some(object),
        );
        query
    }

    /// Adds a condition if there is a value; `?` stands for the value.
    fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.conditions.push(condition.replace('?', &format!("${}", self.values.len())));
        }
    }

    fn page(&mut self, from: Option<Timestamp>, to: Option<Timestamp>, page_request: PageRequest) {
        self.and("occurred_at >= ?", from.map(micros));
        self.and("occurred_at < ?", to.map(micros));
        if let Some(After { sort, id }) = page_request.after {
            let at = self.values.len();
            self.values.extend([sort.into(), id.into()]);
            self.conditions.push(format!("(occurred_at, id) < (${}, ${})", at + 1, at + 2));
        }
        self.values.extend([page_request.small(), page_request.limit + 1].map(|n| i64::try_from(n).unwrap_or(i64::MAX).into()));
    }

    /// Adds the condition that a column is one of these texts.
    fn any(&mut self, column: &str, texts: &[String]) {
        let marks: Vec<String> = (1..=texts.len()).map(|n| format!("${}", self.values.len() + n)).collect();
        self.values.extend(texts.iter().map(|text| text.as_str().into()));
        self.conditions.push(format!("{column} IN ({})", marks.join(", ")));
    }

    /// Selects events of these types, each type by its own index range: the index of all events in order would be read up to the last of a
    /// rare type.
    fn each_of(&mut self, kinds: &[String]) {
        self.kinds = (1..=kinds.len()).map(|n| self.values.len() + n).collect();
        self.values.extend(kinds.iter().map(|kind| kind.as_str().into()));
    }

    fn sql(&self, table: &str) -> String {
        let (small, limit) = (self.values.len() - 1, self.values.len());
        let order = format!("ORDER BY occurred_at DESC, id DESC LIMIT ${limit}");
        let mut conditions = self.conditions.join(" AND ");
        if !self.kinds.is_empty() {
            let newest = |kind: &usize| {
                format!("SELECT id FROM (SELECT id, occurred_at FROM {table} WHERE {conditions} AND kind = ${kind} {order}) AS of_{kind}")
            };
            conditions = format!("id IN ({})", self.kinds.iter().map(newest).collect::<Vec<_>>().join(" UNION ALL "));
        }
        format!(
            "SELECT id, occurred_at AS sort, CAST(octet_length(body) AS BIGINT) AS bytes, CASE WHEN octet_length(body) <= ${small} THEN body END \
             AS body FROM {table} WHERE {conditions} {order}",
        )
    }
}

/// A row of a list: the stored JSON if it is small.
fn listed(row: QueryResult) -> Result<Listed<Option<String>>, Error> {
    let body = row.try_get("", "body")?;
    Ok(Listed::read(&row, "", body)?)
}

impl Store {
    async fn page_of(&self, table: &str, query: Query, page_request: PageRequest) -> Result<Page<String>, Error> {
        let rows = self.0.read.query_all_raw(self.statement(&query.sql(table), query.values)).await?;
        let mut rows = rows.into_iter().map(listed).collect::<Result<Vec<_>, _>>()?;
        let more = page_request.cut(&mut rows, |row| row.bytes);
        let next = if more { rows.last().map(|row| row.after) } else { None };
        let ids: Vec<Uuid> = rows.iter().filter(|row| row.row.is_none()).map(|row| row.after.id).collect();
        let mut large = self.bodies(table, &ids).await?;
        // One that was purged meanwhile is left out.
        let items = rows.into_iter().filter_map(|row| row.row.or_else(|| large.remove(&row.after.id))).collect();
        Ok(Page { items, next })
    }

    pub(crate) async fn bodies(&self, table: &str, ids: &[Uuid]) -> Result<HashMap<Uuid, String>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = filled(ids);
        let marks: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
        let sql = format!("SELECT id, body FROM {table} WHERE id IN ({})", marks.join(", "));
        let rows = self.0.read.query_all_raw(self.statement(&sql, ids.into_iter().map(Value::from))).await?;
        rows.into_iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "body")?))).collect()
    }

    async fn body_of(&self, table: &str, tenant: &TenantId, id: Uuid) -> Result<Option<String>, Error> {
        let sql = format!("SELECT body FROM {table} WHERE id = $1 AND tenant = $2");
        let row = self.0.read.query_one_raw(self.statement(&sql, [id.into(), tenant.as_str().into()])).await?;
        Ok(row.map(|row| row.try_get("", "body")).transpose()?)
    }

    /// A business transaction's record, JSON.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn business_transaction(&self, tenant: &TenantId, id: TransactionId) -> Result<Option<String>, Error> {
        self.body_of("business_transaction", tenant, id.0).await
    }

    /// An event's message, JSON.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<String>, Error> {
        self.body_of("event", tenant, id.0).await
    }

    /// The records of business transactions, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_business_transactions(
        &self,
        tenant: &TenantId,
        wanted: Transactions,
        page_request: PageRequest,
    ) -> Result<Page<String>, Error> {
        let backend = self.0.backend;
        let signed = wanted.object.is_some() && backend == Backend::Sqlite;
        let mut query = wanted.object.map_or_else(|| Query::of(tenant), |object| Query::of_object(tenant, object, backend));
        query.and(if signed { "+operation = ?" } else { "operation = ?" }, wanted.operation);
        query.and(if signed { "+account_id = ?" } else { "account_id = ?" }, wanted.account.map(|id| id.0));
        query.page(wanted.from, wanted.to, page_request);
        self.page_of("business_transaction", query, page_request).await
    }

    /// The entries of a tenant's audit, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_audit_entries(
        &self,
        tenant: &TenantId,
        wanted: AuditEntries,
        page_request: PageRequest,
    ) -> Result<Page<String>, Error> {
        let mut query = Query::of(tenant);
        query.and("kind = ?", wanted.kind.map(Kind::name));
        query.page(wanted.from, wanted.to, page_request);
        self.page_of("audit_entry", query, page_request).await
    }

    /// The types of a tenant's events, types deleted since included. Reads one row per type.
    async fn event_kinds(&self, tenant: &TenantId) -> Result<Vec<String>, Error> {
        let sql = "WITH RECURSIVE known (kind) AS (SELECT MIN(kind) FROM event WHERE tenant = $1 UNION ALL \
                   SELECT (SELECT MIN(kind) FROM event WHERE tenant = $1 AND kind > known.kind) FROM known WHERE known.kind IS NOT NULL) \
                   SELECT kind FROM known WHERE kind IS NOT NULL";
        let rows = self.0.read.query_all_raw(self.statement(sql, [tenant.as_str().into()])).await?;
        rows.iter().map(|row| Ok(row.try_get("", "kind")?)).collect()
    }

    /// The messages of events, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_events(&self, tenant: &TenantId, wanted: Events, page_request: PageRequest) -> Result<Page<String>, Error> {
        let mut query = Query::of(tenant);
        // A key or an object has fewer events than a type. The sign keeps SQLite from the index of types.
        let few = wanted.key.is_some() || wanted.object.is_some();
        let sign = if few && self.0.backend == Backend::Sqlite { "+" } else { "" };
        query.and("ordering_key = ?", wanted.key.map(|key| key.as_str().to_owned()));
        query.and("object_id = ?", wanted.object);
        let mut kinds = wanted.kind.into_iter().collect::<Vec<_>>();
        if let [pattern] = kinds.as_slice()
            && pattern != "*"
            && is_pattern(pattern)
        {
            let known = self.event_kinds(tenant).await?;
            kinds = known.into_iter().filter(|kind| means(pattern, kind)).collect();
            if kinds.is_empty() {
                return Ok(Page { items: Vec::new(), next: None });
            }
        }
        match kinds.as_slice() {
            [] => {}
            [every] if every == "*" => {}
            [kind] => query.and(&format!("{sign}kind = ?"), Some(kind.as_str())),
            several if few || several.len() > KINDS_MAX => query.any(&format!("{sign}kind"), several),
            several => query.each_of(several),
        }
        query.page(wanted.from, wanted.to, page_request);
        self.page_of("event", query, page_request).await
    }

    /// An event's parameters for e-mail only, JSON, if it has any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn private_parameters(&self, tenant: &TenantId, id: EventId) -> Result<Option<String>, Error> {
        let sql = "SELECT private FROM event WHERE id = $1 AND tenant = $2";
        let row = self.0.read.query_one_raw(self.statement(sql, [id.0.into(), tenant.as_str().into()])).await?;
        Ok(row.map(|row| row.try_get("", "private")).transpose()?.flatten())
    }
}
