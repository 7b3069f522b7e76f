//! Which requests share a bucket, and how many of them fit in its window.

use std::time::Duration;

/// A rate limit bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRule {
    /// The bucket's name inside the simulator; clients see a hash of it.
    pub bucket: String,
    /// The routes it counts, as `METHOD /path/{parameter}`; the parameters' names do not matter.
    pub routes: Vec<String>,
    /// Requests in one window.
    pub limit: u32,
    /// The window, which starts with its first request.
    pub window: Duration,
}

/// The bucket of giving and taking a role.
pub const MEMBER_ROLES: &str = "member-roles";

impl LimitRule {
    /// A bucket for some routes.
    pub fn new(bucket: &str, routes: &[&str], limit: u32, window: Duration) -> Self {
        let routes = routes.iter().map(|route| (*route).to_owned()).collect();
        Self {
            bucket: bucket.to_owned(),
            routes,
            limit,
            window,
        }
    }

    /// Whether the rule names this route; `pattern` is as actix prints it.
    pub(crate) fn names(&self, method: &str, pattern: &str) -> bool {
        self.routes.iter().any(|route| {
            route.split_once(' ').is_some_and(|(its_method, its_path)| {
                its_method == method && anonymous(its_path).eq(anonymous(pattern))
            })
        })
    }
}

/// The segments of a path, with parameters made alike.
fn anonymous(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .map(|segment| if segment.starts_with('{') { "{}" } else { segment })
}

/// Limits of the size that Discord was seen to use.
pub(crate) fn discord_defaults() -> Vec<LimitRule> {
    let seconds = Duration::from_secs;
    vec![
        LimitRule::new(
            MEMBER_ROLES,
            &[
                "PUT /guilds/{g}/members/{u}/roles/{r}",
                "DELETE /guilds/{g}/members/{u}/roles/{r}",
            ],
            10,
            seconds(10),
        ),
        LimitRule::new("member", &["GET /guilds/{g}/members/{u}"], 5, seconds(1)),
        LimitRule::new("members", &["GET /guilds/{g}/members"], 10, seconds(10)),
        LimitRule::new("join", &["PUT /guilds/{g}/members/{u}"], 10, seconds(10)),
        LimitRule::new("edit-member", &["PATCH /guilds/{g}/members/{u}"], 10, seconds(10)),
        LimitRule::new("messages", &["POST /channels/{c}/messages"], 5, seconds(5)),
        LimitRule::new("gateway-bot", &["GET /gateway/bot"], 2, seconds(5)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_knows_its_routes_whatever_their_parameters_are_called() {
        let rule = LimitRule::new("b", &["PUT /guilds/{guild}/members/{user}"], 1, Duration::ZERO);
        assert!(rule.names("PUT", "/guilds/{guild_id}/members/{user_id}"));
        assert!(!rule.names("GET", "/guilds/{guild_id}/members/{user_id}"));
        assert!(!rule.names("PUT", "/guilds/{guild_id}/members"));
        assert!(!rule.names("PUT", "/guilds/{guild_id}/members/{user_id}/roles/{role_id}"));
    }
}
