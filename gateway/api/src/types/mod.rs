//! Types shared by request and response bodies: scalars with their patterns, members that null unsets, money, tagged unions, business transactions.

pub(crate) mod attributes;
pub(crate) mod business_transaction;
pub(crate) mod example;
pub(crate) mod money;
pub(crate) mod nullable;
pub(crate) mod patterns;
pub(crate) mod scalars;
pub(crate) mod tagged_union;
