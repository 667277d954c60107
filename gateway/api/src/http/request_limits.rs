//! How many requests a second an API key, a person and a tenant may send to this process, and how many wrong credentials an address.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use billwire_app::Admitted;
use billwire_schemas::{ids::TenantId, refusal::Code};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};
use tokio::sync::Semaphore;

use crate::http::{options::Options, problem::Problem};

/// <https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-09.html>
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The same.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How many limiters of a kind are remembered; beyond it, all begin anew.
const KNOWN_MAX: usize = 10_000;

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// A limiter for each of many, with a burst of one period.
struct Rates<K> {
    period: Duration,
    known: Mutex<HashMap<K, (NonZeroU32, Arc<Limiter>)>>,
}

impl<K: Eq + Hash> Rates<K> {
    fn new(period: Duration) -> Self {
        Self { period, known: Mutex::default() }
    }

    /// Takes one of `quota` a period; gives how many are left, or after how long the next is free.
    fn take(&self, of: K, quota: NonZeroU32) -> Result<u32, Duration> {
        let Some(rule) = Quota::with_period(self.period / quota.get()).map(|rule| rule.allow_burst(quota)) else { return Ok(quota.get()) };
        let limiter = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            let fresh = || (quota, Arc::new(RateLimiter::direct(rule).with_middleware()));
            let entry = known.entry(of).or_insert_with(fresh);
            if entry.0 != quota {
                *entry = fresh();
            }
            entry.1.clone()
        };
        limiter
            .check()
            .map(|state| state.remaining_burst_capacity())
            .map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

/// How many wrong credentials a minute an address may send to this process.
pub struct AddressLimits {
    quota: Option<NonZeroU32>,
    addresses: Rates<Option<IpAddr>>,
}

impl AddressLimits {
    /// This many; 0: any number.
    pub fn new(per_minute: u32) -> Self {
        Self { quota: NonZeroU32::new(per_minute), addresses: Rates::new(Duration::from_secs(60)) }
    }

    /// Counts credentials that are wrong.
    ///
    /// # Errors
    /// After how long the next are counted, when this address has sent too many.
    pub fn take(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        self.quota.map_or(Ok(()), |quota| self.addresses.take(address.map(share_of), quota).map(drop))
    }
}

/// The limits of one process.
pub(crate) struct RequestLimits {
    per_key: Option<NonZeroU32>,
    per_tenant: Option<NonZeroU32>,
    wrong_credentials: AddressLimits,
    keys: Rates<(TenantId, String)>,
    tenants: Rates<TenantId>,
    tails_per_tenant: usize,
    /// Tails that wait for events, by tenant.
    tails: Arc<Mutex<HashMap<TenantId, usize>>>,
    refusals_waiting: Semaphore,
}

/// The place of a tail that waits for events.
pub(crate) struct TailPlace {
    tenant: TenantId,
    tails: Arc<Mutex<HashMap<TenantId, usize>>>,
}

impl Drop for TailPlace {
    fn drop(&mut self) {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = tails.get_mut(&self.tenant) {
            *waiting -= 1;
            if *waiting == 0 {
                tails.remove(&self.tenant);
            }
        }
    }
}

/// What is left of a caller's limits: name, quota, rest.
#[derive(Debug, Default)]
pub(crate) struct Left(Vec<(&'static str, NonZeroU32, u32)>);

impl Left {
    /// The values of `RateLimit-Policy` and `RateLimit`; `None`: there is no limit.
    fn fields(&self) -> Option<(HeaderValue, HeaderValue)> {
        let list = |field: &dyn Fn(&(&'static str, NonZeroU32, u32)) -> String| {
            HeaderValue::from_str(&self.0.iter().map(field).collect::<Vec<_>>().join(", ")).ok()
        };
        if self.0.is_empty() {
            return None;
        }
        Some((
            list(&|(name, quota, _)| format!(r#""{name}";q={quota};w=1"#))?,
            list(&|(name, _, rest)| format!(r#""{name}";r={rest};t=1"#))?,
        ))
    }

    /// Tells the caller with a refusal.
    pub fn told_with(&self, mut problem: Problem) -> Problem {
        if let Some((policy, limit)) = self.fields() {
            for (field, value) in [(POLICY, policy), (LIMIT, limit)] {
                problem = problem.with_header(field, value.to_str().unwrap_or_default());
            }
        }
        problem
    }

    /// Tells the caller with any error.
    pub fn told_by(&self, error: poem::Error) -> poem::Error {
        match Problem::from_error(error) {
            Ok(problem) => self.told_with(problem).into(),
            Err(mut response) => {
                self.told_in(&mut response);
                poem::Error::from_response(*response)
            }
        }
    }

    /// Tells the caller.
    pub fn told_in(&self, response: &mut Response) {
        if let Some((policy, limit)) = self.fields() {
            response.headers_mut().insert(POLICY, policy);
            response.headers_mut().insert(LIMIT, limit);
        }
    }
}

/// How long a request over the limit waits for its refusal.
const REFUSED_AFTER: Duration = Duration::from_millis(100);

/// How many may wait for it: they have places of requests under way, which others need.
const REFUSALS_WAITING: usize = 64;

fn refused(detail: &str, wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(Code::TooManyRequests, detail).with_header(header::RETRY_AFTER, &seconds.max(1).to_string())
}

impl RequestLimits {
    pub fn new(options: &Options) -> Self {
        Self {
            per_key: NonZeroU32::new(options.requests_per_key),
            per_tenant: NonZeroU32::new(options.requests_per_tenant),
            wrong_credentials: AddressLimits::new(options.wrong_credentials_per_minute),
            keys: Rates::new(Duration::from_secs(1)),
            tenants: Rates::new(Duration::from_secs(1)),
            tails_per_tenant: options.tails_per_tenant,
            tails: Arc::default(),
            refusals_waiting: Semaphore::new(REFUSALS_WAITING),
        }
    }

    /// Counts a request of a known caller.
    ///
    /// # Errors
    /// 429 when the key's or the tenant's limit is reached.
    pub fn admit(&self, caller: &Admitted) -> Result<Left, Problem> {
        let (tenant, who) = (&caller.caller.tenant, caller.caller.distinct());
        let per_tenant = caller.requests_per_second.or(self.per_tenant);
        let mut left = Left::default();
        let taken = [
            ("key", self.per_key, self.per_key.map(|quota| self.keys.take((tenant.clone(), who.to_owned()), quota))),
            ("tenant", per_tenant, per_tenant.map(|quota| self.tenants.take(tenant.clone(), quota))),
        ];
        let mut wait = None;
        for (name, quota, rest) in taken {
            let (Some(quota), Some(rest)) = (quota, rest) else { continue };
            left.0.push((name, quota, rest.unwrap_or(0)));
            if let (None, Err(free_in)) = (&wait, rest) {
                wait = Some((name, quota, free_in));
            }
        }
        let Some((name, quota, free_in)) = wait else { return Ok(left) };
        let who = if name == "key" { "caller" } else { name };
        Err(left.told_with(refused(&format!("This {who} may send {quota} requests a second; retry later."), free_in)))
    }

    /// Lets a request over the limit wait for its refusal: who asks again at once would take the time of those within their limits.
    pub async fn hold_back(&self) {
        if let Ok(_place) = self.refusals_waiting.try_acquire() {
            tokio::time::sleep(REFUSED_AFTER).await;
        }
    }

    /// Takes a place for a tail that waits for events.
    ///
    /// # Errors
    /// 429 when as many of the tenant wait.
    pub fn tail(&self, tenant: &TenantId) -> Result<TailPlace, Problem> {
        let most = self.tails_per_tenant;
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = tails.entry(tenant.clone()).or_default();
        if *waiting >= most {
            let detail = format!("{most} tails of this tenant wait for events already; use a subscription, or retry later.");
            return Err(refused(&detail, Duration::from_secs(1)));
        }
        *waiting += 1;
        Ok(TailPlace { tenant: tenant.clone(), tails: self.tails.clone() })
    }

    /// Counts credentials that are wrong.
    ///
    /// # Errors
    /// 429 when this address has sent too many.
    pub fn wrong_credentials_from(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        let AddressLimits { quota, .. } = self.wrong_credentials;
        let quota = quota.map_or(0, NonZeroU32::get);
        self.wrong_credentials
            .take(address)
            .map_err(|wait| refused(&format!("This address may send {quota} wrong credentials a minute; retry later."), wait))
    }
}

/// The address whose share `address` counts towards: an IPv4 address itself, or the /64 of an IPv6 address, which is what one customer
/// has.
pub fn share_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn each_has_its_own_rate_and_no_more() {
        let (rates, quota) = (Rates::new(Duration::from_secs(1)), NonZeroU32::new(5).expect("five"));
        let begun = Instant::now();
        let taken = (0..100).filter(|_| rates.take("a", quota).is_ok()).count();
        let free = 5 + begun.elapsed().as_millis().div_ceil(200) as usize;
        assert!((5..=free).contains(&taken), "{taken}");
        assert_eq!(rates.take("b", quota), Ok(4));
        let more = NonZeroU32::new(50).expect("fifty");
        assert_eq!(rates.take("a", more), Ok(49), "another quota counts at once");
    }

    #[test]
    fn as_many_tails_of_a_tenant_wait_as_are_allowed_and_each_gives_its_place_back() {
        let limits = RequestLimits::new(&Options { tails_per_tenant: 2, ..Options::default() });
        let [acme, other] = ["acme", "other"].map(|name| name.parse::<TenantId>().expect("a tenant"));
        let (first, _second) = (limits.tail(&acme).expect("a place"), limits.tail(&acme).expect("a place"));
        assert!(limits.tail(&acme).is_err());
        let theirs = limits.tail(&other).expect("another tenant has its own");
        drop(first);
        assert!(limits.tail(&acme).is_ok());
        drop(theirs);
        assert_eq!(limits.tails.lock().expect("whole").len(), 1, "only who waits is remembered");
    }

    #[test]
    fn an_ipv6_customer_has_one_share() {
        let of = |text: &str| share_of(text.parse().expect("an address")).to_string();
        assert_eq!(of("2001:db8:1:2:aaaa::1"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
