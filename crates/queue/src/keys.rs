//! The names of the queues and of their keys: a contract with every version that ever ran.

use std::{fmt, str::FromStr};

/// A line of jobs that is worked off by its own workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    /// What Stripe told us, as it came in.
    StripeEvents,
    /// People and purchases whose state has to be worked out again.
    AccountEvents,
    /// What the bot saw in Discord.
    DiscordEvents,
    /// Role changes that somebody is waiting for.
    RoleCommandsNow,
    /// Role changes that belong to a sweep.
    RoleCommandsBulk,
    /// What became of role changes.
    RoleOutcomes,
    /// Everything else the worker does.
    Jobs,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 7] = [
        Self::StripeEvents,
        Self::AccountEvents,
        Self::DiscordEvents,
        Self::RoleCommandsNow,
        Self::RoleCommandsBulk,
        Self::RoleOutcomes,
        Self::Jobs,
    ];

    /// The name in keys, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StripeEvents => "stripe-events",
            Self::AccountEvents => "account-events",
            Self::DiscordEvents => "discord-events",
            Self::RoleCommandsNow => "role-commands-now",
            Self::RoleCommandsBulk => "role-commands-bulk",
            Self::RoleOutcomes => "role-outcomes",
            Self::Jobs => "jobs",
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no queue has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no queue is called {0:?}")]
pub struct UnknownQueue(String);

impl FromStr for Queue {
    type Err = UnknownQueue;

    fn from_str(name: &str) -> Result<Self, UnknownQueue> {
        let found = Self::ALL.into_iter().find(|queue| queue.name() == name);
        found.ok_or_else(|| UnknownQueue(name.to_owned()))
    }
}

/// The keys of one queue. The braces are part of them: they keep the keys of a queue in one
/// cluster slot, so that a script may touch several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
    stream: String,
    delayed: String,
    dead: String,
}

impl Keys {
    /// The keys of `queue` in `namespace`.
    pub fn new(namespace: &str, queue: Queue) -> Self {
        let prefix = ["{", namespace, ":", queue.name(), "}"].concat();
        let key = |name: &str| [&*prefix, ":", name].concat();
        Self {
            stream: key("stream"),
            delayed: key("delayed"),
            dead: key("dead"),
            prefix,
        }
    }

    /// The stream of jobs that are available or running.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The sorted set of jobs that are scheduled for later, by their time in milliseconds.
    pub fn delayed(&self) -> &str {
        &self.delayed
    }

    /// The stream of jobs that were given up.
    pub fn dead(&self) -> &str {
        &self.dead
    }

    /// The mark that a job with this dedup key was taken.
    pub fn dedup(&self, key: &str) -> String {
        [&*self.prefix, ":dedup:", key].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_ones_of_the_contract() {
        let keys = Keys::new("rolecall", Queue::StripeEvents);
        assert_eq!(keys.stream(), "{rolecall:stripe-events}:stream");
        assert_eq!(keys.delayed(), "{rolecall:stripe-events}:delayed");
        assert_eq!(keys.dead(), "{rolecall:stripe-events}:dead");
        assert_eq!(keys.dedup("evt_1"), "{rolecall:stripe-events}:dedup:evt_1");
    }

    #[test]
    fn a_queue_is_found_by_its_name() {
        for queue in Queue::ALL {
            assert_eq!(queue.name().parse(), Ok(queue));
        }
        assert!("nonsense".parse::<Queue>().is_err());
    }
}
