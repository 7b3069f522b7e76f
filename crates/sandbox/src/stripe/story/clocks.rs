//! Test clocks: made, advanced, deleted. What falls due happens to their customers only.

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::subscription::Subscription;
use crate::stripe::world::test_clock::{ClockStatus, TestClock};

const DAY: i64 = 86_400;
/// How many customers can live on one clock.
const MOST_CUSTOMERS: usize = 3;

impl World {
    /// Makes a clock that stands at `frozen_time`.
    pub fn create_test_clock(&mut self, frozen_time: i64, name: Option<String>) -> Result<String, Refusal> {
        let id = self.ids.test_clock();
        let created = self.clock.wall().timestamp();
        self.test_clocks.insert(TestClock {
            id: id.clone(),
            name,
            frozen_time,
            status: ClockStatus::Ready,
            deleted: false,
            created,
        });
        self.emit_clock("test_helpers.test_clock.created", &id)?;
        Ok(id)
    }

    /// Whether one more customer can live on a clock.
    pub fn check_room_on_clock(&self, id: &str) -> Result<(), Refusal> {
        self.test_clock(id)
            .map_err(|refusal| refusal.param("test_clock"))?;
        let on_it = self
            .customers
            .rows()
            .iter()
            .filter(|customer| customer.test_clock.as_deref() == Some(id) && !customer.deleted);
        if on_it.count() < MOST_CUSTOMERS {
            return Ok(());
        }
        let message = format!("A test clock can have at most {MOST_CUSTOMERS} customers.");
        Err(Refusal::invalid(message).param("test_clock"))
    }

    /// Lets a clock's time pass until `to`; answers how many things happened.
    pub fn advance_test_clock(&mut self, id: &str, to: i64) -> Result<usize, Refusal> {
        self.begin_advance(id, to)?;
        self.finish_advance(id, to)
    }

    /// Sets a clock on its way; `finish_advance` brings it there.
    pub fn begin_advance(&mut self, id: &str, to: i64) -> Result<(), Refusal> {
        let clock = self.test_clock(id)?;
        if clock.status != ClockStatus::Ready {
            let message = "This test clock is not ready: wait until its status is `ready`.";
            return Err(Refusal::invalid(message).status(429));
        }
        if to <= clock.frozen_time {
            let message = "The new frozen time must be later than the current one.";
            return Err(Refusal::invalid(message).param("frozen_time"));
        }
        if to > self.furthest(clock) {
            let message = "Test clocks can be advanced by at most two intervals of the shortest subscription on \
                           them, or by two years where there is none.";
            return Err(Refusal::invalid(message).param("frozen_time"));
        }
        self.set_clock(id, |clock| clock.status = ClockStatus::Advancing(to))?;
        self.emit_clock("test_helpers.test_clock.advancing", id)
    }

    /// Brings a clock to where it is on its way to.
    pub fn finish_advance(&mut self, id: &str, to: i64) -> Result<usize, Refusal> {
        let happened = self.pass_on_clock(id, to);
        let (status, kind) = match happened {
            Ok(_) => (ClockStatus::Ready, "test_helpers.test_clock.ready"),
            Err(_) => (
                ClockStatus::InternalFailure,
                "test_helpers.test_clock.internal_failure",
            ),
        };
        self.set_clock(id, |clock| {
            clock.status = status;
            clock.frozen_time = to;
        })?;
        self.emit_clock(kind, id)?;
        happened
    }

    /// Two intervals of the shortest subscription, or two years.
    fn furthest(&self, clock: &TestClock) -> i64 {
        let of_clock =
            |row: &&Subscription| !row.over() && self.clock_behind(&row.customer) == Some(clock.id.as_str());
        let intervals = self
            .subscriptions
            .rows()
            .iter()
            .filter(of_clock)
            .flat_map(|row| &row.items)
            .filter_map(|item| self.prices.get(&item.price)?.recurring)
            .map(|recurring| {
                let first = recurring.end(clock.frozen_time, clock.frozen_time);
                recurring.end(clock.frozen_time, first)
            });
        intervals.min().unwrap_or(clock.frozen_time + 2 * 366 * DAY)
    }

    pub(super) fn set_clock(&mut self, id: &str, change: impl FnOnce(&mut TestClock)) -> Result<(), Refusal> {
        let clock = self.test_clocks.get_mut(id);
        change(clock.ok_or_else(|| Refusal::missing("test clock", id))?);
        Ok(())
    }

    /// Deletes a clock, its customers, and what they are subscribed to.
    pub fn delete_test_clock(&mut self, id: &str) -> Result<(), Refusal> {
        self.test_clock(id)?;
        let on_it = self
            .customers
            .rows()
            .iter()
            .filter(|customer| customer.test_clock.as_deref() == Some(id) && !customer.deleted);
        let on_it: Vec<String> = on_it.map(|customer| customer.id.clone()).collect();
        for customer in on_it {
            self.in_time_of(Some(id), |world| world.delete_customer(&customer))?;
        }
        self.emit_clock("test_helpers.test_clock.deleted", id)?;
        self.set_clock(id, |clock| clock.deleted = true)
    }

    /// A clock that was not deleted, or Stripe's refusal.
    pub fn test_clock(&self, id: &str) -> Result<&TestClock, Refusal> {
        let found = self.test_clocks.get(id).filter(|clock| !clock.deleted);
        found.ok_or_else(|| Refusal::missing("test clock", id))
    }

    fn emit_clock(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        let object = shape::test_clock(self, self.test_clock(id)?);
        self.emit(kind, object, None);
        Ok(())
    }
}
