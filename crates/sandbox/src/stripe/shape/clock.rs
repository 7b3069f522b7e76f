//! Test clocks.

use serde_json::{Value, json};

use crate::stripe::world::World;
use crate::stripe::world::test_clock::{ClockStatus, TestClock};

/// How long a clock is kept after it was made.
const KEPT_FOR: i64 = 30 * 86_400;

/// A test clock.
pub(crate) fn test_clock(world: &World, clock: &TestClock) -> Value {
    let details = match clock.status {
        ClockStatus::Advancing(to) => json!({ "advancing": { "target_frozen_time": to } }),
        ClockStatus::Ready | ClockStatus::InternalFailure => json!({}),
    };
    json!({
        "id": clock.id,
        "object": "test_helpers.test_clock",
        "created": clock.created,
        "deletes_after": clock.created + KEPT_FOR,
        "frozen_time": clock.frozen_time,
        "livemode": world.livemode,
        "name": clock.name,
        "status": clock.status.name(),
        "status_details": details,
    })
}
