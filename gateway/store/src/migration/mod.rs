//! Migrations: expand, never rewrite. A migration that has been released is not edited.

mod m0001_start;
mod m0002_set_aside_events;
mod m0003_slots;
mod m0004_event_lists;
mod m0005_published;
mod m0006_retention;
mod m0007_prepayments;
mod m0008_access;
mod m0009_audit;
mod m0010_identity_providers;
mod m0011_stream_subscriptions;
mod m0012_exchanges;
mod m0013_throughput;

use sea_orm_migration::prelude::*;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_start::Migration),
            Box::new(m0002_set_aside_events::Migration),
            Box::new(m0003_slots::Migration),
            Box::new(m0004_event_lists::Migration),
            Box::new(m0005_published::Migration),
            Box::new(m0006_retention::Migration),
            Box::new(m0007_prepayments::Migration),
            Box::new(m0008_access::Migration),
            Box::new(m0009_audit::Migration),
            Box::new(m0010_identity_providers::Migration),
            Box::new(m0011_stream_subscriptions::Migration),
            Box::new(m0012_exchanges::Migration),
            Box::new(m0013_throughput::Migration),
        ]
    }
}
