//! Which requests Discord counts together: method, path template and the major parameter.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

/// A request as the limiter sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub(crate) key: RouteKey,
    pub(crate) major: String,
    /// Interaction answers are authorised by their own token, and do not count against the bot's 50 a second.
    pub(crate) exempt_from_global: bool,
}

/// The part of a route that all guilds, channels and webhooks share: Discord names a bucket for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RouteKey {
    pub(crate) method: String,
    pub(crate) template: String,
}

impl Route {
    /// The route of `method` and `path`, the latter below `/api/v10/`; a query is ignored.
    ///
    /// `PUT guilds/1/members/2/roles/3` becomes `guilds/{major}/members/{id}/roles/{id}` for guild 1.
    pub fn new(method: &str, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        let mut segments = path.split('/');
        let resource = segments.next().unwrap_or_default();
        let mut template = vec![resource];
        let mut major = String::new();
        if matches!(resource, "guilds" | "channels" | "webhooks" | "interactions")
            && let Some(id) = segments.next()
        {
            template.push("{major}");
            id.clone_into(&mut major);
        }
        if matches!(resource, "webhooks" | "interactions")
            && let Some(token) = segments.next()
        {
            template.push("{token}");
            major = format!("{major}:{:x}", fingerprint(token));
        }
        template.extend(segments.map(|segment| if is_id(segment) { "{id}" } else { segment }));
        Self {
            key: RouteKey {
                method: method.to_owned(),
                template: template.join("/"),
            },
            major,
            exempt_from_global: matches!(resource, "webhooks" | "interactions"),
        }
    }
}

/// The method and the template, without any id: what errors and logs may show.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key.method, self.key.template)
    }
}

fn is_id(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// Tells tokens apart without keeping them.
fn fingerprint(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, template: &str, major: &str) {
        let route = Route::new("GET", path);
        assert_eq!(
            (route.key.template.as_str(), route.major.as_str()),
            (template, major)
        );
    }

    #[test]
    fn a_route_keeps_the_major_parameter_and_forgets_the_others() {
        check(
            "guilds/1/members/2/roles/3",
            "guilds/{major}/members/{id}/roles/{id}",
            "1",
        );
        check(
            "/guilds/1/members?limit=1000&after=5",
            "guilds/{major}/members",
            "1",
        );
        check("channels/7/messages", "channels/{major}/messages", "7");
        check("users/@me", "users/@me", "");
        check("users/9", "users/{id}", "");
        check("gateway/bot", "gateway/bot", "");
    }

    #[test]
    fn the_method_tells_routes_apart() {
        assert_ne!(
            Route::new("PUT", "guilds/1/members/2/roles/3"),
            Route::new("DELETE", "guilds/1/members/2/roles/3")
        );
        assert_eq!(
            Route::new("PUT", "guilds/1/members/2/roles/3"),
            Route::new("PUT", "guilds/1/members/4/roles/5")
        );
    }

    #[test]
    fn an_interaction_token_counts_but_is_not_kept() {
        let route = Route::new("POST", "interactions/1/aSecretToken/callback");
        assert!(route.exempt_from_global);
        assert!(!format!("{route:?}").contains("aSecretToken"));
        assert_ne!(
            route.major,
            Route::new("POST", "interactions/1/another/callback").major
        );
    }
}
