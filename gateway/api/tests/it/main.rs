//! Tests of the API over HTTP, with a real store.
#![expect(clippy::expect_used, clippy::panic, reason = "test code: a failed expectation is the report")]

mod attributes;
mod auto_runs;
mod billing;
mod charge_refusals;
mod charges;
mod conform;
mod customer_refusals;
mod customers;
mod document;
mod dropped_callers;
mod edges;
mod endings;
mod event_size;
mod event_types;
mod examples;
mod external_ids;
mod history;
mod http;
mod lists;
mod mail;
mod patches;
mod payers;
mod payments;
mod periods;
mod recreated;
mod redrive;
mod refusals;
mod retention;
mod rig;
mod routing;
mod successes;
mod usage;
mod usage_clock;
mod violations;
mod webhook_endpoints;
