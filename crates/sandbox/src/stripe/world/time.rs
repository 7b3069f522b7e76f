//! What time it is: the account's, or that of the test clock that a customer lives by.

use crate::stripe::world::World;

impl World {
    /// The time in unix seconds, for whomever something is happening to.
    pub fn now(&self) -> i64 {
        self.frozen.unwrap_or_else(|| self.clock.now().timestamp())
    }

    /// Lets something happen in the time of the customer behind an object, who may be on a test clock.
    pub fn in_time_behind<T>(&mut self, id: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let clock = self.clock_behind(id).map(str::to_owned);
        self.in_time_of(clock.as_deref(), act)
    }

    /// Lets something happen in a test clock's time, or in the account's.
    pub fn in_time_of<T>(&mut self, clock: Option<&str>, act: impl FnOnce(&mut Self) -> T) -> T {
        let frozen = clock.and_then(|id| self.test_clocks.get(id));
        let frozen = frozen.map(|clock| clock.frozen_time);
        let outer = std::mem::replace(&mut self.frozen, frozen);
        let result = act(self);
        self.frozen = outer;
        result
    }

    /// The test clock of the customer behind an object.
    pub fn clock_behind(&self, id: &str) -> Option<&str> {
        let customer = self.customers.get(self.customer_behind(id)?)?;
        customer.test_clock.as_deref()
    }

    /// The customer whom an object is about, by the object's id.
    pub fn customer_behind<'a>(&'a self, id: &'a str) -> Option<&'a str> {
        let kind = id.split('_').next().unwrap_or_default();
        match kind {
            "cus" => Some(id),
            "sub" => Some(self.subscriptions.get(id)?.customer.as_str()),
            "si" => Some(self.subscription_of_item(id)?.customer.as_str()),
            "in" => Some(self.invoices.get(id)?.customer.as_str()),
            "pi" => self.payment_intents.get(id)?.customer.as_deref(),
            "ch" => self.charges.get(id)?.customer.as_deref(),
            "re" => self.customer_behind(&self.refunds.get(id)?.charge),
            "du" => self.customer_behind(&self.disputes.get(id)?.charge),
            "cs" => self.checkouts.get(id)?.customer.as_deref(),
            "bps" => Some(self.portals.get(id)?.customer.as_str()),
            _ => None,
        }
    }
}
