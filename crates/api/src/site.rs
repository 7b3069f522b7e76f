//! What the service is to a browser: its origin, its cookies' names, and the headers that follow.

use rolecall_runtime::config::Origin;
use url::Url;

/// Where Stripe's own pages are.
const STRIPE_PAGES: [&str; 2] = ["https://checkout.stripe.com", "https://billing.stripe.com"];
const STRIPE_API: &str = "https://api.stripe.com";

/// The site as browsers see it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) public_url: Origin,
    pub(crate) cors_allowed_origins: Vec<Origin>,
    pub(crate) content_security_policy: String,
    /// Origins that a form may end on after redirects: browsers check each hop.
    form_targets: Vec<String>,
}

impl Site {
    pub(crate) fn new(
        public_url: Origin,
        cors_allowed_origins: Vec<Origin>,
        stripe_api: &Origin,
        discord_api: &Origin,
    ) -> Self {
        let mut form_targets = vec![discord_api.as_str().to_owned()];
        form_targets.extend(STRIPE_PAGES.map(str::to_owned));
        if stripe_api.as_str() != STRIPE_API {
            // A simulator shows its pages where its API is.
            form_targets.push(stripe_api.as_str().to_owned());
        }
        let content_security_policy = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            form_targets.join(" ")
        );
        Self {
            public_url,
            cors_allowed_origins,
            content_security_policy,
            form_targets,
        }
    }

    /// Whether cookies and transport are protected by TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.is_https()
    }

    /// Whether a form may be answered by a redirect to `url`. If not, a page has to lead there: the
    /// community may show Stripe's pages under a domain of its own.
    pub(crate) fn is_form_target(&self, url: &Url) -> bool {
        let origin = url.origin().ascii_serialization();
        self.form_targets.contains(&origin)
    }

    /// Whether a page of this origin may write here.
    pub(crate) fn may_write(&self, origin: &str) -> bool {
        origin == self.public_url.as_str() || self.is_cors_allowed(origin)
    }

    /// Whether another origin's pages may call the API.
    pub(crate) fn is_cors_allowed(&self, origin: &str) -> bool {
        self.cors_allowed_origins
            .iter()
            .any(|allowed| allowed.as_str() == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(stripe_api: &str) -> Site {
        let origin = |text| Origin::parse(text).unwrap();
        Site::new(
            origin("https://members.example"),
            vec![origin("https://www.example")],
            &origin(stripe_api),
            &origin("https://discord.com"),
        )
    }

    #[test]
    fn forms_may_end_on_stripes_pages_and_nowhere_else() {
        let site = site("https://api.stripe.com");
        for (url, expected) in [
            ("https://checkout.stripe.com/c/pay/cs_1", true),
            ("https://billing.stripe.com/p/session/1", true),
            ("https://pay.example/c/pay/cs_1", false),
            ("https://checkout.stripe.com.evil.example/", false),
        ] {
            assert_eq!(site.is_form_target(&url.parse().unwrap()), expected, "{url}");
        }
        assert!(
            !site.content_security_policy.contains("unsafe"),
            "{}",
            site.content_security_policy
        );
    }

    #[test]
    fn a_simulator_is_a_form_target_too_and_stripes_api_is_none() {
        let site = site("http://127.0.0.1:12111");
        assert!(site.is_form_target(&"http://127.0.0.1:12111/pay/cs_1".parse().unwrap()));
        assert!(!site.content_security_policy.contains("api.stripe.com"));
    }

    #[test]
    fn only_listed_origins_may_write() {
        let site = site("https://api.stripe.com");
        for (origin, expected) in [
            ("https://members.example", true),
            ("https://www.example", true),
            ("http://members.example", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            assert_eq!(site.may_write(origin), expected, "{origin}");
        }
    }
}
