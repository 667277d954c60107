//! The test clock.

use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, types::Example};

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::Shown,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, Takes},
    types::example::example_moment,
    types::scalars::Moment,
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Control of business time, for tests.
    #[oai(rename = "Test clock")]
    TestClock,
}

pub(crate) struct TestClock;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "setTestClock",
    scope: "test_clock:write",
    own_codes: &[Code::TestClockNotAllowed, Code::TimeOutOfRange],
    takes: Takes { body: true, ..PLAIN },
    makes: None,
}];

/// The time to set the test clock to.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct TestClockSetting {
    /// The new business time, in the years 2000 to 2999.
    now: Moment,
}

impl Validate for TestClockSetting {}

impl Example for TestClockSetting {
    fn example() -> Self {
        Self { now: example_moment() }
    }
}

/// The current business time.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct BusinessTime {
    /// Business time.
    now: Moment,
}

impl Example for BusinessTime {
    fn example() -> Self {
        Self { now: example_moment() }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::TestClock")]
impl TestClock {
    /// Set the test clock
    ///
    /// Sets business time for the whole installation; time advances from there. Planned changes that become due are performed within
    /// seconds. Available only if the installation runs with `BILLWIRE_TEST_CLOCK`.
    #[oai(path = "/test-clock", method = "post", operation_id = "setTestClock")]
    async fn set(&self, context: Context, input: Validated<TestClockSetting>) -> Result<Shown<BusinessTime>, Problem> {
        Ok(Shown(BusinessTime { now: context.app().set_test_clock(input.body.now.0).await?.into() }))
    }
}
