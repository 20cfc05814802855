//! The page at `/`: what a server's pipelines do, for people. It is part of the binary and asks the API as any client.
//!
//! Always true: a browser runs and loads nothing that this server did not send, and shows the page in no other page.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse as _;
use axum::routing::get;

/// Path, content type and text of each file.
const FILES: [(&str, &str, &str); 10] = [
    ("/", HTML, include_str!("page/page.html")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", SCRIPT, include_str!("page/page.js")),
    ("/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/graph.js", SCRIPT, include_str!("page/graph.js")),
    ("/layout.js", SCRIPT, include_str!("page/layout.js")),
    ("/chart.js", SCRIPT, include_str!("page/chart.js")),
    ("/parts.js", SCRIPT, include_str!("page/parts.js")),
    ("/tap.js", SCRIPT, include_str!("page/tap.js")),
];
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What a browser is told beside: whatever does not come from here is refused by the browser itself, and after an
/// update of wasmill the new page is shown.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The paths of the page.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = |router: Router<S>, (path, kind, text): (&'static str, &'static str, &'static str)| {
        router.route(path, get(async move || ([(header::CONTENT_TYPE, kind)], HEADERS, text).into_response()))
    };
    FILES.into_iter().fold(Router::new(), file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_only_each_other_and_make_no_markup_of_data() {
        for (path, _, text) in FILES {
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "").contains("://");
            assert!(!elsewhere && !text.contains("innerHTML") && !text.contains("style="), "{path}");
            let named = text.split("from \"./").skip(1).chain(text.split("=\"/").skip(1));
            for name in named.filter_map(|rest| rest.split('"').next()) {
                assert!(FILES.iter().any(|(path, ..)| path[1..] == *name), "{path} names {name}");
            }
        }
    }
}
