//! Who asks, and for what: a person with a browser for a page, or a program for the API?

use actix_web::{HttpRequest, http::header};

/// The path as the router reads it. What was sent may write any of its letters as a number (`%61`), leads to the same
/// handler, and is not to be compared with anything.
pub(crate) fn routed_path(request: &HttpRequest) -> &str {
    request.match_info().as_str()
}

/// Whether this is for programs.
pub(crate) fn is_api(request: &HttpRequest) -> bool {
    let path = routed_path(request);
    path.starts_with("/api/") || path == "/auth/refresh"
}

/// Whether the answer is to be a page.
pub(crate) fn wants_page(request: &HttpRequest) -> bool {
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    !is_api(request) && accept.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn browsers_get_pages_except_from_the_api() {
        for (path, accept, expected) in [
            ("/dashboard", Some("text/html,application/xhtml+xml"), true),
            ("/dashboard", Some("application/json"), false),
            ("/dashboard", None, false),
            ("/api/v1/me", Some("text/html"), false),
            ("/%61pi/v1/me", Some("text/html"), false),
            ("/auth/refres%68", Some("text/html"), false),
            ("/auth/discord/callback", Some("text/html"), true),
        ] {
            let mut request = TestRequest::with_uri(path);
            if let Some(accept) = accept {
                request = request.insert_header((header::ACCEPT, accept));
            }
            assert_eq!(
                wants_page(&request.to_http_request()),
                expected,
                "{path} {accept:?}"
            );
        }
    }
}
