//! Which values look like secrets. By guesses, so on the side of caution; whoever needs a value has
//! the raw memory.

use pagevault_api::contents::Variable;

/// Parts of names whose values are kept back.
const NAMES: [&str; 18] = [
    "PASS",
    "PWD",
    "SECRET",
    "TOKEN",
    "KEY",
    "CRED",
    "AUTH",
    "PRIVATE",
    "SIGNATURE",
    "SALT",
    "SESSION",
    "COOKIE",
    "CERT",
    "DSN",
    "CONNECTION_STRING",
    "CONNECTIONSTRING",
    "WEBHOOK",
    "JWT",
];
/// Names that have such a part and hold no secret.
const HARMLESS: [&str; 3] = ["PWD", "OLDPWD", "KEYBOARD"];
/// What a value names that has a secret among others: connection strings, options, JSON.
const INNER: [&str; 7] = ["PASSWORD", "PASSWD", "PWD=", "SECRET", "TOKEN", "APIKEY", "API_KEY"];
/// Beginnings of secrets, whatever they are called.
const VALUES: [&str; 10] =
    ["eyJ", "ghp_", "gho_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA", "sk-", "-----BEGIN"];
/// From here on a text without words is more likely a key than anything else.
const RANDOM_BYTES_MIN: usize = 32;

/// A variable of the form `NAME=VALUE`, its value kept back if it looks like a secret.
pub(crate) fn mask(variable: &str) -> Variable {
    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
    let masked = !value.is_empty() && (is_secret_name(name) || is_secret_value(value));
    Variable { name: name.to_owned(), value: (!masked).then(|| value.to_owned()), masked }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    !HARMLESS.contains(&name.as_str()) && NAMES.iter().any(|part| name.contains(part))
}

fn is_secret_value(value: &str) -> bool {
    let upper = value.to_ascii_uppercase();
    INNER.iter().any(|name| upper.contains(name))
        || starts(value).any(|part| VALUES.iter().any(|start| part.starts_with(start)))
        || has_user(value)
        || is_random(value)
}

/// Where a secret may begin: at the value, and after what stands before one in a text.
fn starts(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| matches!(c, '/' | ':' | '=' | '"' | '\'') || c.is_whitespace())
}

/// A URL with somebody's name, or more, before its host: `scheme://user:password@host`; or that
/// without a scheme, as `user:password@tcp(host)`. An image by digest is none.
fn has_user(value: &str) -> bool {
    let of_url = value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        authority.contains('@')
    });
    let words = value.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';'));
    let mut pairs =
        words.filter(|word| !word.contains("://")).filter_map(|word| word.split_once('@'));
    of_url || pairs.any(|(user, host)| user.contains(':') && !host.starts_with("sha256:"))
}

/// Long, of one word, letters and digits mixed: hex, base64.
fn is_random(value: &str) -> bool {
    let of_key = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
    let has = |kind: fn(&u8) -> bool| value.as_bytes().iter().any(kind);
    value.len() >= RANDOM_BYTES_MIN
        && value.bytes().all(of_key)
        && !value.starts_with('/')
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_back_and_the_rest_is_not() {
        for secret in [
            "DB_PASSWORD=x",
            "password=x",
            "AWS_SECRET_ACCESS_KEY=abc",
            "apiKey=1",
            "DATABASE_URL=postgres://u:p@db/x",
            "A=eyJhbGciOi",
            "A=AKIAIOSFODNN7EXAMPLE",
            "HASH=9f86d081884c7d659a2feaa0c55ad015",
            "ConnectionStrings__Default=Server=db;User Id=sa;Password=p",
            "ConnectionStringsDefault=Server=db",
            "DB=Server=db;User Id=sa;Password=p",
            "DB=Server=db;Uid=sa;Pwd=p",
            "GIT_URL=https://ghp_x@github.com/a",
            "GIT_URL=https://github.com/a?x=ghp_x",
            "GIT_URL=https://someone@github.com/a",
            "URLS=http://a/,http://b:c@d/",
            "DATABASE_URL=root:hunter2@tcp(db:3306)/shop",
            "DB_URL=jdbc:oracle:thin:scott/tiger@db:1521/x",
            "HEADER=Bearer eyJhbGciOi",
            "DB_URL=postgres://db/x?user=a&password=p",
            "JAVA_OPTS=-Dspring.datasource.password=p",
            r#"SPRING_APPLICATION_JSON={"password":"p"}"#,
            r#"A={"a":"AKIAIOSFODNN7EXAMPLE"}"#,
        ] {
            let variable = mask(secret);
            assert!(variable.masked && variable.value.is_none(), "{secret}");
        }
        for open in [
            "PATH=/usr/local/sbin:/usr/local/bin",
            "HOSTNAME=cart-7d9f8b6c5d-x2x9z",
            "KUBERNETES_PORT=tcp://10.96.0.1:443",
            "PWD=/data",
            "URL=https://example.com/a@b:c",
            "REDIS_SHA_URL=",
            "DB_PASSWORD=",
            "odd",
            "MAIL=someone@example.com",
            "IMAGE=registry:5000/a@sha256:9f86d081",
            "KUBERNETES_SERVICE_HOST=10.96.0.1",
            "KUBERNETES_PORT_443_TCP_PROTO=tcp",
            "GPG=/usr/bin/gpg:/usr/share/task-list",
            "JAVA_HOME=/opt/java/openjdk-21-very-long-path-of-a-jdk-0123456789",
        ] {
            assert!(!mask(open).masked, "{open}");
        }
    }
}
