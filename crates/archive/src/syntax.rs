//! Which names an identity may have, so that it can become part of a reference, a label or a path.

/// A Kubernetes name of one label (RFC 1123): containers and namespaces.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(is_lower_or_digit);
    text.len() <= 63
        && text.chars().all(|c| is_lower_or_digit(c) || c == '-')
        && edge(text.chars().next())
        && edge(text.chars().next_back())
}

/// A Kubernetes name of several labels (RFC 1123): pods.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label_of_any_length)
}

/// A label of a subdomain; Kubernetes bounds only the whole.
fn is_dns_label_of_any_length(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.chars().all(|c| is_lower_or_digit(c) || c == '-')
}

fn is_lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// A container name of podman: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, here at most 255 bytes.
pub(crate) fn is_podman_name(text: &str) -> bool {
    is_word(text, 255, "_.-")
}

/// A pod uid: a UUID, or the hash of a static pod's manifest.
pub(crate) fn is_uid(text: &str) -> bool {
    is_word(text, 128, "-")
}

/// A container, sandbox or image id of all engines: 64 hexadecimal digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// `sha256:` and 64 hexadecimal digits.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_id)
}

/// An image name or reference: what may be in one, and no path tricks.
pub(crate) fn is_image(text: &str) -> bool {
    is_word(text, 512, "._-/:@+") && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// `NAME@sha256:…`.
pub(crate) fn is_by_digest(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, digest)| is_image(name) && is_digest(digest))
}

/// Name or path of an OCI runtime.
pub(crate) fn is_runtime(text: &str) -> bool {
    let name = text.strip_prefix('/').unwrap_or(text);
    text.is_empty() || (is_word(name, 255, "._-/+") && !name.split('/').any(|part| part == ".."))
}

/// An absolute path in its only spelling.
pub(crate) fn is_canonical_path(text: &str) -> bool {
    match text.strip_prefix('/') {
        None => false,
        Some("") => true,
        Some(rest) => {
            text.len() <= 4096
                && !text.chars().any(char::is_control)
                && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
        }
    }
}

/// A letter or digit, then letters, digits and `more`.
fn is_word(text: &str, bytes_max: usize, more: &str) -> bool {
    text.len() <= bytes_max
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}
