//! Who may ask: programs on this machine, and no web page.
//!
//! A server listens on loopback addresses only. A web page that is open in a browser on this machine could still reach
//! it; but its requests name another `Origin`, or another `Host` where a name was made to lead here. Both are refused,
//! and so is a page of another server on this machine, on whatever port: its origin is not the host that it asks. Where
//! a browser says by `Sec-Fetch-Site` that a page from elsewhere asks, only a link to our own page is followed.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;

/// What a browser says of who asks, and what for.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The address to listen on.
///
/// # Errors
/// It is none, or others than this machine could reach it.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("localhost").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1{port}"));
    let address: SocketAddr = address.parse().map_err(|_| format!("`{text}` is no address; write `127.0.0.1:7070`"))?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{address} can be reached from other machines, and there are no passwords and no encryption yet; \
             listen on 127.0.0.1, and use a tunnel (`ssh -L`) from elsewhere"
        ));
    }
    Ok(address)
}

/// Lets a request pass that names this machine as its host, and that host as its origin if it has one.
pub(crate) async fn local(request: Request, next: Next) -> Response {
    match refusal(&request) {
        Some(why) => Problem::foreign(format!("{why}; ask as `localhost` or 127.0.0.1")).into_response(),
        None => next.run(request).await,
    }
}

fn refusal(request: &Request) -> Option<String> {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    let Some(host) = text(header::HOST).or_else(|| request.uri().authority().map(ToString::to_string)) else {
        return Some("the request names no host".to_owned());
    };
    if !is_here(&host) {
        return Some(format!("`{host}` is not this machine"));
    }
    if let Some(origin) = text(header::ORIGIN).filter(|origin| !is_own(origin, &host)) {
        return Some(format!("a page of `{origin}` may not use this server"));
    }
    let elsewhere = text(SITE).is_some_and(|site| !["same-origin", "none"].contains(&&*site));
    (elsewhere && !is_visit(request)).then(|| "a page from elsewhere may not use this server".to_owned())
}

fn is_own(origin: &str, host: &str) -> bool {
    origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host))
}

/// Whether a browser goes to our page, as by a link.
fn is_visit(request: &Request) -> bool {
    let is = |name, value: &str| request.headers().get(name).is_some_and(|given| given == value);
    request.method() == Method::GET
        && request.uri().path() == "/"
        && is(MODE, "navigate")
        && is(DESTINATION, "document")
}

/// Whether `host` or `host:port` means this machine by itself, not by what a name server says.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_here() {
        for here in ["localhost", "localhost:7070", "127.0.0.1", "127.0.0.1:80", "[::1]:7070", "LOCALHOST"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:7070", "", "localhost.evil.example"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_page_may_ask_the_server_that_sent_it_and_no_other_one() {
        let refused = |path: &str, headers: &[(&str, &str)]| {
            let mut request = Request::get(path).header("host", "localhost:7070");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            refusal(&request.body(axum::body::Body::empty()).unwrap()).is_some()
        };
        let visit = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(!refused("/x", &[]) && !refused("/x", &[("origin", "http://localhost:7070")]));
        assert!(!refused("/x", &[("origin", "http://LOCALHOST:7070"), ("sec-fetch-site", "same-origin")]));
        assert!(!refused("/x", &[("sec-fetch-site", "none")]) && !refused("/", &visit));
        let other_pages =
            ["http://localhost:3000", "http://localhost", "http://127.0.0.1:7070", "https://localhost:7070"];
        for origin in other_pages.into_iter().chain(["http://evil.example", "null"]) {
            assert!(refused("/x", &[("origin", origin)]), "{origin}");
        }
        assert!(
            refused("/x", &[("sec-fetch-site", "cross-site")]) && refused("/x", &[("sec-fetch-site", "same-site")])
        );
        assert!(refused("/x", &visit) && refused("/", &visit[..1]) && refused("/", &visit[..2]));
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        assert!(address("127.0.0.1:0").is_ok() && address("localhost:7070").is_ok() && address("[::1]:7070").is_ok());
        for wrong in ["0.0.0.0:7070", "192.168.1.2:7070", "[::]:7070"] {
            assert!(address(wrong).unwrap_err().contains("can be reached from other machines"));
        }
        assert!(address("7070").unwrap_err().contains("is no address"));
    }
}
