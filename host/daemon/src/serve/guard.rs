//! Who may ask: programs on this machine, and no web page.
//!
//! A server listens on loopback addresses only. A web page that is open in a browser on this machine could still reach
//! it; but its requests name another `Origin`, or another `Host` where a name was made to lead here. Both are refused.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;

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

/// Lets a request pass that names this machine as its host, and as its origin if it has one.
pub(crate) async fn local(request: Request, next: Next) -> Response {
    match refusal(&request) {
        Some(why) => Problem::foreign(format!("{why}; ask as `localhost` or 127.0.0.1")).into_response(),
        None => next.run(request).await,
    }
}

fn refusal(request: &Request) -> Option<String> {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    let host = text(header::HOST).or_else(|| request.uri().host().map(str::to_owned));
    match (host, text(header::ORIGIN)) {
        (None, _) => Some("the request names no host".to_owned()),
        (Some(host), _) if !is_here(&host) => Some(format!("`{host}` is not this machine")),
        (_, Some(origin)) if !is_own(&origin) => Some(format!("a page of `{origin}` may not use this server")),
        _ => None,
    }
}

fn is_own(origin: &str) -> bool {
    origin.strip_prefix("http://").is_some_and(is_here)
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
        assert!(is_own("http://localhost:7070") && !is_own("http://evil.example") && !is_own("null"));
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
