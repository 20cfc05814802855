//! The domain of a URL: what lies between its scheme and its path.

use wasmill::prelude::*;

#[derive(Row)]
struct Page<'a> {
    url: &'a str,
}

#[derive(Row)]
struct Domain<'a> {
    domain: &'a str,
}

#[transform]
fn domain(page: Page<'_>) -> Domain<'_> {
    Domain { domain: text::before(text::after(page.url, "://"), "/") }
}
