//! `/v2/<name>/tags/list` and `/v2/_catalog`.

use axum::Json;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use pagevault_api::oci_error::OciErrorCode;
use serde_json::json;

use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::{Query, encode};
use crate::reply::set;

/// Names of a page where the client does not say.
const DEFAULT: usize = 1000;
/// Names of a page at most; the rest is linked to.
const MOST: usize = 10_000;

/// The tags of a repository, sorted.
pub(super) async fn list(app: &Shared, name: &str, uri: &Uri) -> Handled {
    let page = Asked::read(uri)?;
    let tags = app.registry.tags(name, page.last.as_deref(), page.fetch()).await?;
    let (tags, next) = page.cut(tags);
    let body = json!({ "name": name, "tags": tags });
    Ok(linked(body, next.map(|next| format!("/v2/{name}/tags/list?{next}"))))
}

/// The repositories, sorted.
pub(super) async fn catalog(app: &Shared, uri: &Uri) -> Handled {
    let page = Asked::read(uri)?;
    let names = app.registry.repositories(page.last.as_deref(), page.fetch()).await?;
    let (repositories, next) = page.cut(names);
    let body = json!({ "repositories": repositories });
    Ok(linked(body, next.map(|next| format!("/v2/_catalog?{next}"))))
}

fn linked(body: serde_json::Value, next: Option<String>) -> Response {
    let mut response = Json(body).into_response();
    if let Some(next) = next {
        set(&mut response, "link", format!("<{next}>; rel=\"next\""));
    }
    response
}

/// The page that a client asks for: `n` names after `last`.
struct Asked {
    n: usize,
    last: Option<String>,
}

impl Asked {
    fn read(uri: &Uri) -> Handled<Self> {
        let query = Query::open(uri);
        let n = match query.first("n").map(str::parse::<u64>) {
            None => DEFAULT,
            Some(Ok(n)) => usize::try_from(n).unwrap_or(MOST).min(MOST),
            Some(Err(_)) => {
                return Err(Failure::bad(OciErrorCode::Unsupported, "n is not a number of names"));
            }
        };
        Ok(Self { n, last: query.first("last").map(str::to_owned) })
    }

    /// One more than is shown tells whether there are more.
    fn fetch(&self) -> usize {
        self.n + 1
    }

    /// The names to show, and the query of the next page. A page of none has no next one.
    fn cut(&self, mut names: Vec<String>) -> (Vec<String>, Option<String>) {
        let more = names.len() > self.n;
        names.truncate(self.n);
        let next = names.last().filter(|_| more);
        let next = next.map(|last| format!("n={}&last={}", self.n, encode(last)));
        (names, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Handled<Asked> {
        Asked::read(&format!("/v2/_catalog{query}").parse().unwrap())
    }

    #[test]
    fn pages() {
        let names = || vec!["a/b".to_owned(), "c".to_owned(), "d".to_owned()];
        let (shown, next) = asked("?n=1").unwrap().cut(names());
        assert_eq!(
            (shown.as_slice(), next.as_deref()),
            (&["a/b".to_owned()][..], Some("n=1&last=a%2Fb"))
        );
        assert_eq!(asked("?n=3").unwrap().cut(names()), (names(), None));
        assert_eq!(asked("?n=0").unwrap().cut(names()), (vec![], None));
        assert_eq!(asked("").unwrap().n, DEFAULT);
        assert_eq!(asked("?n=18446744073709551615").unwrap().n, MOST);
        assert!(asked("?n=-1").is_err() && asked("?n=x").is_err());
    }
}
