//! What clients are told beside an answer: `Warning: 299 - "text"`, the only form that the OCI
//! specification knows. Clients show it to people.

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Most bytes of all warnings of a response.
const BYTES_MAX: usize = 4096;
/// What goes within this time goes soon: enough to do something about it.
const SOON: Duration = Duration::from_secs(3600);

/// For people who pull the memory of processes.
pub(crate) const MEMORY: &str = "this image holds the memory of processes, and the secrets in it";

/// Adds a warning. One that cannot be sent, or has no room beside the others, is left out: it must
/// not cost the answer.
pub(crate) fn warn(response: &mut Response, text: &str) {
    let told = response.headers().get_all(header::WARNING).iter();
    let bytes: usize = told.map(HeaderValue::len).sum();
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    let warning = format!("299 - \"{quoted}\"");
    if let Ok(value) = HeaderValue::from_str(&warning)
        && bytes + value.len() <= BYTES_MAX
    {
        response.headers_mut().append(header::WARNING, value);
    }
}

/// Warns of what goes by itself within the hour. Whatever has a time to live comes here.
pub(crate) fn warn_of_expiry(response: &mut Response, what: &str, left: Duration) {
    if left <= SOON {
        let minutes = left.as_secs() / 60;
        warn(response, &format!("{what} expires soon, in {minutes} minutes"));
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;
    use crate::reply::empty;

    fn told(response: &Response) -> Vec<&str> {
        let values = response.headers().get_all("warning").iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn warnings_are_of_the_form_that_clients_read() {
        let mut response = empty(StatusCode::OK);
        warn(&mut response, MEMORY);
        warn(&mut response, r#"a "name" with a \"#);
        warn(&mut response, "two\nlines");
        let first = format!("299 - \"{MEMORY}\"");
        assert_eq!(told(&response), [&first, r#"299 - "a \"name\" with a \\""#]);
        for _ in 0..100 {
            warn(&mut response, &"x".repeat(100));
        }
        let bytes: usize = told(&response).iter().map(|value| value.len()).sum();
        assert!(bytes <= 4096 && bytes > 3900, "{bytes}");
    }

    #[test]
    fn only_what_goes_soon_is_said_to() {
        let mut response = empty(StatusCode::OK);
        warn_of_expiry(&mut response, "this", Duration::from_secs(2 * 3600));
        assert_eq!(told(&response), [""; 0]);
        warn_of_expiry(&mut response, "this", Duration::from_secs(1799));
        assert_eq!(told(&response), ["299 - \"this expires soon, in 29 minutes\""]);
    }
}
