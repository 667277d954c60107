//! Long drills. `make test` runs them short; `make soak` sets their lengths in the environment (see `tests/README.md`).

mod billing;
mod disks;
mod lanes;
mod logs;
mod once;
mod purges;
mod refill;
mod relays;
mod restores;
mod retention;
pub(crate) mod storage_full;

use std::time::Duration;

use crate::drills::Scene;

/// A length of a drill: `BILLWIRE_TEST_SOAK_<name>`, or else the short one.
fn length(name: &str, short: u64) -> u64 {
    std::env::var(format!("BILLWIRE_TEST_SOAK_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

/// The same, in milliseconds.
fn time(name: &str, short: u64) -> Duration {
    Duration::from_millis(length(&format!("{name}_MS"), short))
}

/// Slows the clients of a drill down, so that what is compared at its end fits into memory however long it is.
fn pace(scene: &mut Scene) {
    scene.pause = time("CLIENT_PAUSE", 0);
}

/// Small pseudo-random numbers; the seed is printed, so that a failure can be reproduced.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = std::process::id().into();
        println!("seed {seed}");
        Self(seed)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// A random moment within a second.
    async fn moment(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.roll(1000))).await;
    }
}
