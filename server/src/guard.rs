//! Keeps browsers from being a way in.
//!
//! A server has no other protection than that not everybody reaches it, and a browser runs other
//! people's pages on machines that do. Such a page can send requests here under its own name (the name
//! made to resolve to the server), or without asking (a form, an image). So: on loopback, and wherever
//! names are allowed by the settings, the Host must be an address, `localhost` or one of them; nothing
//! is changed for a page of another origin; and what is under `/api/v1` is not loaded into one.

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
    if listen.ip().to_canonical().is_loopback() || !allowed.is_empty() {
        let hosts = headers.get_all(header::HOST).iter().map(|h| h.to_str().unwrap_or_default());
        for host in hosts.chain(uri.authority().map(Authority::as_str)) {
            if !is_local(host, allowed) {
                return Some(format!(
                    "this server answers to localhost, addresses and the names in allowed-hosts, \
                     and {host:?} is none of them"
                ));
            }
        }
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let foreign = match safe {
        true => uri.path().starts_with("/api/v1") && is_loaded_elsewhere(headers),
        false => is_foreign(headers, uri),
    };
    foreign.then(|| "pages of other origins may not do this".to_owned())
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

/// True if a browser says that a page of another origin loads this: not if somebody follows a link.
fn is_loaded_elsewhere(headers: &HeaderMap) -> bool {
    matches!(text(headers, "sec-fetch-site"), Some("cross-site" | "same-site"))
        && text(headers, "sec-fetch-mode") != Some("navigate")
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
    fn rebinding_is_refused_on_loopback_and_where_names_are_set() {
        let rebound = request("GET", &[("host", "evil.example:5000")]);
        assert!(refusal(&rebound, "127.0.0.1:5000".parse().unwrap(), &[]).is_some());
        assert!(refusal(&rebound, "[::1]:5000".parse().unwrap(), &[]).is_some());
        assert!(refusal(&rebound, "[::ffff:127.0.0.1]:5000".parse().unwrap(), &[]).is_some());
        let anywhere = "0.0.0.0:5000".parse().unwrap();
        assert!(refusal(&rebound, anywhere, &[]).is_none());
        let names = ["registry.test".to_owned()];
        assert!(refusal(&rebound, anywhere, &names).is_some());
        for host in ["registry.test:5000", "192.168.0.7:5000", "localhost"] {
            assert_eq!(refusal(&request("GET", &[("host", host)]), anywhere, &names), None);
        }
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

    #[test]
    fn what_is_stored_is_not_loaded_into_other_pages() {
        let get = |path: &str, site: &str, mode: &str| {
            let request = Request::builder().uri(path).header("host", "localhost:5000");
            let request = request.header("sec-fetch-site", site).header("sec-fetch-mode", mode);
            let request = request.body(Body::empty()).unwrap();
            refusal(&request, "0.0.0.0:5000".parse().unwrap(), &[]).is_none()
        };
        for site in ["cross-site", "same-site"] {
            assert!(!get("/api/v1/events", site, "cors"), "{site}");
            assert!(!get("/api/v1/gc/explain", site, "no-cors"), "{site}");
            assert!(get("/api/v1/stats", site, "navigate"), "{site}");
            assert!(get("/", site, "no-cors"), "{site}");
        }
        assert!(get("/api/v1/events", "same-origin", "cors"));
        assert!(get("/api/v1/stats", "none", "navigate"));
    }
}
