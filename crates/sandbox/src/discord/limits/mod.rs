//! Rate limits as Discord keeps them: buckets with fixed windows, a global limit, and the ban line
//! for invalid requests.

pub mod answer;
pub mod rules;

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::discord::{
    config::LimitsConfig,
    limits::{
        answer::{BucketState, Scope, TooMany},
        rules::LimitRule,
    },
};

const GLOBAL_WINDOW: Duration = Duration::from_secs(1);
const INVALID_WINDOW: Duration = Duration::from_mins(10);
/// What every route without a rule of its own gets.
const OTHER: (u32, Duration) = (50, Duration::from_secs(1));

/// A request as the limiter sees it.
#[derive(Debug, Clone)]
pub(crate) struct Counted<'a> {
    pub(crate) method: &'a str,
    /// The route's pattern, `/guilds/{guild}/...`.
    pub(crate) pattern: &'a str,
    /// The path with its values.
    pub(crate) path: &'a str,
    /// Whose limits are spent.
    pub(crate) caller: &'a str,
}

/// All windows.
#[derive(Debug)]
pub(crate) struct Limiter {
    config: LimitsConfig,
    buckets: HashMap<(String, String, String), Window>,
    global: HashMap<String, Window>,
    invalid: VecDeque<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    started: Instant,
    used: u32,
}

impl Limiter {
    pub(crate) fn new(config: LimitsConfig) -> Self {
        Self {
            config,
            buckets: HashMap::new(),
            global: HashMap::new(),
            invalid: VecDeque::new(),
        }
    }

    /// Counts a request: either the state of its bucket afterwards, or why it is one too many.
    pub(crate) fn take(&mut self, request: &Counted<'_>, now: Instant) -> Result<BucketState, TooMany> {
        if !exempt_from_global(request.pattern) {
            let window = self.global.entry(request.caller.to_owned()).or_insert(Window {
                started: now,
                used: 0,
            });
            if let Err(retry_after) = window.take(self.config.global_per_second, GLOBAL_WINDOW, now) {
                return Err(TooMany {
                    retry_after,
                    scope: Scope::Global,
                    bucket: None,
                });
            }
        }
        let rule = self
            .config
            .rules
            .iter()
            .find(|rule| rule.names(request.method, request.pattern));
        let name = rule.map_or_else(
            || format!("{} {}", request.method, request.pattern),
            |r| r.bucket.clone(),
        );
        let (limit, length) = rule.map_or(OTHER, |rule| (rule.limit, rule.window));
        let id = opaque(&name);
        let key = (name, major(request.path), request.caller.to_owned());
        let window = self.buckets.entry(key).or_insert(Window {
            started: now,
            used: 0,
        });
        let taken = window.take(limit, length, now);
        let state = BucketState {
            id,
            limit,
            remaining: limit.saturating_sub(window.used),
            reset_after: length.saturating_sub(now.duration_since(window.started)),
        };
        match taken {
            Ok(()) => Ok(state),
            Err(retry_after) => Err(TooMany {
                retry_after,
                scope: Scope::User,
                bucket: Some(state),
            }),
        }
    }

    /// Counts an answer that Discord calls invalid.
    pub(crate) fn count_invalid(&mut self, now: Instant) {
        self.invalid.push_back(now);
    }

    /// 401, 403 and 429 answers of the last ten minutes.
    pub(crate) fn invalid_requests(&mut self, now: Instant) -> usize {
        while self
            .invalid
            .front()
            .is_some_and(|first| now.duration_since(*first) > INVALID_WINDOW)
        {
            self.invalid.pop_front();
        }
        self.invalid.len()
    }

    /// Whether the ban line is crossed.
    pub(crate) fn banned(&mut self, now: Instant) -> bool {
        let line = usize::try_from(self.config.invalid_requests).unwrap_or(usize::MAX);
        self.invalid_requests(now) >= line
    }

    /// Puts a rule before all others; one for a bucket that exists replaces it.
    pub(crate) fn set_rule(&mut self, mut rule: LimitRule) {
        if let Some(index) = self.config.rules.iter().position(|old| old.bucket == rule.bucket) {
            let old = self.config.rules.remove(index);
            if rule.routes.is_empty() {
                rule.routes = old.routes;
            }
        }
        self.config.rules.insert(0, rule);
    }

    pub(crate) fn set_global(&mut self, per_second: u32) {
        self.config.global_per_second = per_second;
    }

    pub(crate) fn rules(&self) -> &[LimitRule] {
        &self.config.rules
    }
}

impl Window {
    fn take(&mut self, limit: u32, length: Duration, now: Instant) -> Result<(), Duration> {
        if now.duration_since(self.started) >= length {
            *self = Self {
                started: now,
                used: 0,
            };
        }
        if self.used >= limit {
            return Err(length.saturating_sub(now.duration_since(self.started)));
        }
        self.used += 1;
        Ok(())
    }
}

/// Interaction endpoints are not under the bot's global limit.
fn exempt_from_global(pattern: &str) -> bool {
    pattern.starts_with("/interactions/") || pattern.starts_with("/webhooks/")
}

/// The top-level resource that splits a bucket: a guild, a channel, or a webhook with its token.
fn major(path: &str) -> String {
    let mut segments = path.trim_start_matches('/').split('/');
    match segments.next() {
        Some("guilds" | "channels") => segments.next().unwrap_or_default().to_owned(),
        Some("webhooks" | "interactions") => segments.take(2).collect::<Vec<_>>().join("/"),
        _ => String::new(),
    }
}

fn opaque(name: &str) -> String {
    hex::encode(Sha256::digest(name)).chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limit: u32, window: Duration) -> Limiter {
        let rules = vec![LimitRule::new(
            "b",
            &["PUT /guilds/{g}/x", "DELETE /guilds/{g}/x"],
            limit,
            window,
        )];
        Limiter::new(LimitsConfig {
            rules,
            global_per_second: 5,
            invalid_requests: 2,
        })
    }

    fn put(path: &str) -> Counted<'_> {
        Counted {
            method: "PUT",
            pattern: "/guilds/{g}/x",
            path,
            caller: "bot",
        }
    }

    #[test]
    fn a_window_is_fixed_it_starts_with_its_first_request() {
        let mut limiter = limiter(2, Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = limiter.take(&put("/guilds/1/x"), at(0)).unwrap();
        assert_eq!(
            (first.limit, first.remaining, first.reset_after),
            (2, 1, Duration::from_secs(10))
        );
        assert_eq!(limiter.take(&put("/guilds/1/x"), at(9)).unwrap().remaining, 0);
        let refused = limiter.take(&put("/guilds/1/x"), at(9)).unwrap_err();
        assert_eq!(
            (refused.retry_after, refused.scope),
            (Duration::from_secs(1), Scope::User)
        );
        assert_eq!(limiter.take(&put("/guilds/1/x"), at(10)).unwrap().remaining, 1);
    }

    #[test]
    fn routes_of_one_rule_share_a_bucket_and_guilds_do_not() {
        let mut limiter = limiter(1, Duration::from_secs(10));
        let now = Instant::now();
        let put_state = limiter.take(&put("/guilds/1/x"), now).unwrap();
        let delete = Counted {
            method: "DELETE",
            ..put("/guilds/1/x")
        };
        assert!(limiter.take(&delete, now).is_err());
        let other_guild = limiter.take(&put("/guilds/2/x"), now).unwrap();
        assert_eq!(put_state.id, other_guild.id);
    }

    #[test]
    fn the_global_limit_counts_all_routes_of_one_caller() {
        let mut limiter = limiter(100, Duration::from_secs(10));
        let now = Instant::now();
        for _ in 0..5 {
            limiter.take(&put("/guilds/1/x"), now).unwrap();
        }
        assert_eq!(
            limiter.take(&put("/guilds/1/x"), now).unwrap_err().scope,
            Scope::Global
        );
        assert!(
            limiter
                .take(
                    &Counted {
                        caller: "other",
                        ..put("/guilds/1/x")
                    },
                    now
                )
                .is_ok()
        );
        assert!(
            limiter
                .take(&put("/guilds/1/x"), now + Duration::from_secs(1))
                .is_ok()
        );
    }

    #[test]
    fn invalid_requests_are_forgotten_after_ten_minutes() {
        let mut limiter = limiter(1, Duration::from_secs(1));
        let now = Instant::now();
        limiter.count_invalid(now);
        assert!(!limiter.banned(now));
        limiter.count_invalid(now);
        assert!(limiter.banned(now));
        assert!(!limiter.banned(now + Duration::from_secs(601)));
    }
}
