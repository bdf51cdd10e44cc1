//! Keeps browsers from being a way in.
//!
//! A server on loopback has no other protection than that only this machine reaches it, and a
//! browser runs other people's pages on this machine. Such a page can send requests here under its
//! own name (the name made to resolve to loopback), or without asking (a form). So: on loopback the
//! Host must be an address or `localhost`, and nothing is changed for a page of another origin.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use pagevault_api::oci_error::OciErrorCode;

use crate::app::Shared;
use crate::errors::Failure;
use crate::reply::text;

/// Refuses what no client sends but a browser that was misled.
pub(crate) async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let (listen, allowed) = (app.settings.listen, &app.settings.allowed_hosts);
    match refusal(&request, listen, allowed) {
        None => next.run(request).await,
        Some(detail) => {
            let failure = Failure::new(StatusCode::FORBIDDEN, OciErrorCode::Denied, detail);
            match request.uri().path().starts_with("/v2") {
                true => failure.into_oci(),
                false => failure.into_problem(),
            }
        }
    }
}

fn refusal(request: &Request, listen: SocketAddr, allowed: &[String]) -> Option<String> {
    let (headers, uri) = (request.headers(), request.uri());
    if listen.ip().to_canonical().is_loopback() {
        let hosts = headers.get_all(header::HOST).iter().map(|h| h.to_str().unwrap_or_default());
        for host in hosts.chain(uri.authority().map(Authority::as_str)) {
            if !is_local(host, allowed) {
                return Some(format!(
                    "this server answers to localhost and addresses, not to {host:?}; \
                     add the name to allowed-hosts"
                ));
            }
        }
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    (!safe && is_foreign(headers, uri)).then(|| "pages of other origins may not do this".to_owned())
}

/// True for an address, `localhost`, or an allowed name, with any port.
fn is_local(host: &str, allowed: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

/// True if a browser says that a page of another origin sends this.
fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    let site = text(headers, "sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let own = text(headers, header::HOST.as_str()).or(uri.authority().map(Authority::as_str));
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (from, own) {
        (Some((_, from)), Some(own)) => !from.eq_ignore_ascii_case(own),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn local_names() {
        let allowed = ["registry.test".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:5000",
            "127.0.0.1",
            "127.8.9.1:1",
            "[::1]:5000",
            "[::1]",
            "192.168.0.7:5000",
            "registry.test:5000",
        ] {
            assert!(is_local(host, &allowed), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:5000",
            "evil.example@127.0.0.1",
            "a b",
            "[::1",
            "registry.test.evil.example",
        ] {
            assert!(!is_local(host, &allowed), "{host}");
        }
    }

    fn request(method: &str, headers: &[(&str, &str)]) -> Request {
        let mut builder = Request::builder().method(method).uri("/api/v1/stats");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::empty()).unwrap()
    }

    #[test]
    fn rebinding_is_refused_on_loopback_only() {
        let rebound = request("GET", &[("host", "evil.example:5000")]);
        assert!(refusal(&rebound, "127.0.0.1:5000".parse().unwrap(), &[]).is_some());
        assert!(refusal(&rebound, "[::1]:5000".parse().unwrap(), &[]).is_some());
        assert!(refusal(&rebound, "[::ffff:127.0.0.1]:5000".parse().unwrap(), &[]).is_some());
        assert!(refusal(&rebound, "0.0.0.0:5000".parse().unwrap(), &[]).is_none());
        let absolute = Request::builder().uri("http://evil.example/").body(Body::empty()).unwrap();
        assert!(refusal(&absolute, "127.0.0.1:5000".parse().unwrap(), &[]).is_some());
        let plain = request("GET", &[]);
        assert!(refusal(&plain, "127.0.0.1:5000".parse().unwrap(), &[]).is_none());
    }

    #[test]
    fn changes_come_from_no_other_origin() {
        let host = ("host", "localhost:5000");
        let check = |method, headers: &[(&str, &str)]| {
            refusal(&request(method, headers), "0.0.0.0:5000".parse().unwrap(), &[]).is_none()
        };
        assert!(check("POST", &[host]));
        assert!(check("POST", &[host, ("origin", "http://localhost:5000")]));
        assert!(!check("POST", &[host, ("origin", "http://evil.example")]));
        assert!(!check("DELETE", &[host, ("origin", "http://localhost:8080")]));
        assert!(!check("PUT", &[host, ("origin", "null")]));
        assert!(!check("POST", &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!check("POST", &[host, ("sec-fetch-site", "same-site")]));
        assert!(check("POST", &[host, ("sec-fetch-site", "same-origin")]));
        assert!(check("GET", &[host, ("origin", "http://evil.example")]));
    }
}
