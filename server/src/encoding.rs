//! The `Accept-Encoding` header (RFC 9110, section 12.5.3), as data.

use axum::http::{HeaderMap, header};

/// Whether a client asks for a coding by name, and likes it no less than the bytes as they are. That
/// it takes anything (`*`) is not asking.
pub(crate) fn asks_for(wanted: &str, headers: &HeaderMap) -> bool {
    let (mut asked, mut identity) = (0, None);
    for list in headers.get_all(header::ACCEPT_ENCODING) {
        for (coding, weight) in list.to_str().unwrap_or_default().split(',').map(weighed) {
            if coding.eq_ignore_ascii_case(wanted) {
                asked = weight;
            } else if coding.eq_ignore_ascii_case("identity") {
                identity = Some(weight);
            }
        }
    }
    asked > 0 && identity.is_none_or(|identity| asked >= identity)
}

/// A coding and its weight in thousandths; one that cannot be read is 0.
fn weighed(item: &str) -> (&str, u32) {
    let (coding, parameters) = item.split_once(';').unwrap_or((item, "q=1"));
    let value = parameters.trim().strip_prefix(['q', 'Q']).map(str::trim_start);
    let value = value.and_then(|value| value.strip_prefix('=')).map(str::trim);
    (coding.trim(), value.and_then(thousandths).unwrap_or(0))
}

/// Reads `0`, `0.5`, `1.000`.
fn thousandths(value: &str) -> Option<u32> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = fraction.bytes().all(|b| b.is_ascii_digit()) && fraction.len() <= 3;
    match (whole, digits) {
        ("0", true) => format!("{fraction:0<3}").parse().ok(),
        ("1", true) if fraction.bytes().all(|b| b == b'0') => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asks(lists: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(list).unwrap());
        }
        asks_for("zstd", &headers)
    }

    #[test]
    fn only_who_asks_gets_it() {
        for list in [
            "zstd",
            "ZSTD",
            "gzip, zstd",
            "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5",
            "gzip;q=1, zstd ; q=0.001",
            "zstd;Q=0.5, identity;q=0.5",
            "zstd, *;q=0",
        ] {
            assert!(asks(&[list]), "{list}");
        }
        assert!(asks(&["gzip", "zstd"]));
        for list in [
            "",
            "*",
            "gzip, deflate, br",
            "identity",
            "zstd;q=0",
            "zstd;q=0.000",
            "zstd;q=0.5, identity",
            "zstd;q=0.5, identity;q=0.6",
            "zstd;q=2",
            "zstd;q=1.5",
            "zstd;q=0.1234",
            "zstd;q=-1",
            "zstd;q=",
            "zstd;level=3",
            "xzstd",
        ] {
            assert!(!asks(&[list]), "{list}");
        }
        assert!(!asks(&[]));
    }
}
