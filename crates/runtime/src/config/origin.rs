//! An origin: scheme, host and port, and nothing after them.

use std::fmt;

use url::Url;

use crate::env::parse;

/// Scheme, host and port of a web site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// The origin written in `text`; a final slash is allowed.
    pub fn parse(text: &str) -> Result<Self, parse::Problem> {
        let url = parse::url(&["http", "https"])(text)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err("is not an origin only: leave out path, query and user".to_owned());
        }
        Ok(Self(url))
    }

    /// `https://example.com`, without a final slash.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether it is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of `path` on this origin.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Whether `url` is on this origin.
    pub fn holds(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_without_a_final_slash() {
        for text in [
            "https://example.com",
            "https://example.com/",
            "HTTPS://Example.com:443",
        ] {
            assert_eq!(Origin::parse(text).unwrap().as_str(), "https://example.com");
        }
        assert_eq!(
            Origin::parse("http://localhost:3000/").unwrap().to_string(),
            "http://localhost:3000"
        );
    }

    #[test]
    fn more_than_an_origin_is_refused() {
        for text in [
            "https://a.b/c",
            "https://a.b?x",
            "https://a.b#x",
            "https://u:p@a.b",
            "ftp://a.b",
            "a.b",
            "https://",
        ] {
            assert!(Origin::parse(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn a_path_with_a_query_is_joined_as_such() {
        let origin = Origin::parse("https://a.b").unwrap();
        assert_eq!(
            origin.join("/claim?session_id=x").as_str(),
            "https://a.b/claim?session_id=x"
        );
        assert_eq!(origin.join("plans").as_str(), "https://a.b/plans");
    }

    #[test]
    fn scheme_and_port_belong_to_the_origin() {
        let origin = Origin::parse("https://a.b").unwrap();
        assert!(origin.holds(&Url::parse("https://a.b:443/x").unwrap()));
        for other in [
            "http://a.b",
            "https://a.b:8443",
            "https://c.a.b",
            "https://a.b.evil",
        ] {
            assert!(!origin.holds(&Url::parse(other).unwrap()), "{other}");
        }
    }
}
