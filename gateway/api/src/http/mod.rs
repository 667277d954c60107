//! Request handling: authorization, request context, validated bodies, responses, problems.

pub(crate) mod access_log;
pub(crate) mod authorization;
pub(crate) mod bulk;
pub(crate) mod canonical_json;
pub(crate) mod cursor;
pub(crate) mod error_middleware;
pub(crate) mod if_none_match;
pub(crate) mod options;
pub(crate) mod page_memory;
pub(crate) mod problem;
pub(crate) mod published;
pub(crate) mod readiness;
pub(crate) mod request_context;
pub(crate) mod request_limits;
pub(crate) mod responses;
pub(crate) mod strict_json;
pub(crate) mod validated_body;
pub(crate) mod violations;
