//! Who asks: a person with a browser, or a program?

use actix_web::{HttpRequest, http::header};

/// Whether the answer is to be a page.
pub(crate) fn wants_page(request: &HttpRequest) -> bool {
    let is_api = request.path().starts_with("/api/") || request.path() == "/auth/refresh";
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    !is_api && accept.is_some_and(|accept| accept.contains("text/html"))
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
