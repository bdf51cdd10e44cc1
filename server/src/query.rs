//! The query of a request.

use axum::http::Uri;
use url::form_urlencoded;

use crate::errors::{Failure, Handled};

/// Names and values in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query, whatever is in it: OCI clients and mirrors add parameters of their own.
    pub(crate) fn open(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Reads a query that has no names but these.
    pub(crate) fn strict(uri: &Uri, names: &[&str]) -> Handled<Self> {
        let query = Self::open(uri);
        match query.0.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            None => Ok(query),
            Some((name, _)) if names.is_empty() => {
                Err(Failure::invalid(format!("no query parameter is known here, not {name:?}")))
            }
            Some((name, _)) => Err(Failure::invalid(format!(
                "query parameter {name:?} is not known here: there are {}",
                names.join(", ")
            ))),
        }
    }

    /// The first value of a name.
    pub(crate) fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The only value of a name; a second one is refused.
    pub(crate) fn only<'a>(&'a self, name: &'a str) -> Handled<Option<&'a str>> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Failure::invalid(format!("query parameter {name:?} is there twice"))),
        }
    }

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Writes a text so that it can stand as one segment of a path or a value of a query.
pub(crate) fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/x?{query}").parse().unwrap()
    }

    #[test]
    fn values() {
        let query = Query::open(&uri("ref=a%2Fb:c&label=k%3Dv&label=x=y+z&empty"));
        assert_eq!(query.first("ref"), Some("a/b:c"));
        assert_eq!(query.all("label").collect::<Vec<_>>(), ["k=v", "x=y z"]);
        assert_eq!(query.first("empty"), Some(""));
        assert_eq!(query.first("none"), None);
        assert!(query.only("label").is_err());
        assert_eq!(query.only("ref").unwrap(), Some("a/b:c"));
    }

    #[test]
    fn strict_names_the_stranger() {
        assert!(Query::strict(&uri("a=1&b=2"), &["a", "b"]).is_ok());
        let Err(Failure::Refused { detail, .. }) = Query::strict(&uri("a=1&c=2"), &["a"]) else {
            panic!("accepted");
        };
        assert!(detail.contains("\"c\""), "{detail}");
        assert!(Query::strict(&uri("c"), &[]).is_err());
    }

    #[test]
    fn encoded_as_one_segment() {
        assert_eq!(encode("shop/cart:20261123T092033Z"), "shop%2Fcart%3A20261123T092033Z");
        assert_eq!(encode("a b+c?"), "a%20b%2Bc%3F");
    }
}
