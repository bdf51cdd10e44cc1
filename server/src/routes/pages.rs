//! Pages for people: a shell and its files, all of them in the binary. What they show, their scripts
//! ask of `/api/v1` and put in as text.
//!
//! The shell is the same at every address of a page; a script looks at the address. Its files have the
//! version of all of them in their path, so a browser asks for each once.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Write as _};
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::app::Shared;
use crate::encoding::asks_for;
use crate::reply::{empty, set, text};

/// Where pages are.
const ADDRESSES: [&str; 7] = [
    "/",
    "/workloads",
    "/workloads/timeline",
    "/checkpoints/{*reference}",
    "/compare",
    "/retention",
    "/collections",
];

/// Nothing but files and answers of this server, no script or style within a page, no page within
/// another.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SHELL: &str = include_str!("pages/shell.html");

macro_rules! sources {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("pages/", $name)))),*] };
}

const SOURCES: [(&str, &str); 23] = sources![
    "api.js",
    "app.js",
    "chart.js",
    "checkpoint.js",
    "collections.js",
    "compare.js",
    "contents.js",
    "dialogs.js",
    "dom.js",
    "format.js",
    "icon.svg",
    "keep.js",
    "links.js",
    "memory.js",
    "overview.js",
    "parts.js",
    "processes.js",
    "restore.js",
    "retention.js",
    "runs.js",
    "style.css",
    "timeline.js",
    "workloads.js",
];

static FILES: LazyLock<Files> = LazyLock::new(Files::new);

/// The routes of the pages. Their files are packed here, before anybody waits for one.
pub(crate) fn router() -> Router<Shared> {
    LazyLock::force(&FILES);
    let pages = ADDRESSES.iter().fold(Router::new(), |router, at| router.route(at, get(shell)));
    pages.route("/pages/{version}/{name}", get(file))
}

/// What a browser may be given.
struct Files {
    /// A hash of all of them.
    version: String,
    shell: File,
    others: [(&'static str, File); SOURCES.len()],
}

struct File {
    kind: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Files {
    fn new() -> Self {
        let mut hasher = DefaultHasher::new();
        for (name, content) in SOURCES.iter().chain([&("shell.html", SHELL)]) {
            hasher.write(name.as_bytes());
            hasher.write(content.as_bytes());
        }
        let version = format!("{:016x}", hasher.finish());
        let shell = SHELL.replace("{files}", &format!("/pages/{version}"));
        let others = SOURCES.map(|(name, content)| (name, File::new(name, content)));
        Self { shell: File::new("shell.html", &shell), others, version }
    }
}

impl File {
    fn new(name: &str, content: &str) -> Self {
        let kind = match name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        Self { kind, plain: content.to_owned().into(), gzip: pack(content.as_bytes()).ok() }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let gzip = self.gzip.as_ref().filter(|_| asks_for("gzip", headers));
        let mut response = Response::new(gzip.unwrap_or(&self.plain).clone().into());
        if gzip.is_some() {
            set(&mut response, "content-encoding", "gzip");
        }
        set(&mut response, "content-type", self.kind);
        set(&mut response, "vary", "accept-encoding");
        set(&mut response, "content-security-policy", POLICY);
        set(&mut response, "referrer-policy", "no-referrer");
        response
    }
}

fn pack(content: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?.into())
}

/// A page, of whatever address.
async fn shell(headers: HeaderMap) -> Response {
    let etag = format!("\"{}\"", FILES.version);
    let mut response = FILES.shell.answer(&headers);
    let known = text(&headers, header::IF_NONE_MATCH.as_str());
    if known.is_some_and(|known| known.contains(&etag)) {
        // With the same headers: a browser takes them in place of those that it has.
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
    }
    set(&mut response, "etag", etag);
    set(&mut response, "cache-control", "no-cache");
    set(&mut response, "x-frame-options", "DENY");
    response
}

/// A file of the pages. Another version's is not here: it must not be kept as this one's.
async fn file(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let found = FILES.others.iter().find(|(known, _)| *known == name);
    let Some((_, file)) = found.filter(|_| version == FILES.version) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let mut response = file.answer(&headers);
    set(&mut response, "cache-control", "public, max-age=31536000, immutable");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup_or_comes_from_elsewhere() {
        const FORBIDDEN: [&str; 9] = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "srcdoc",
            "eval(",
            "javascript:",
            "setHTML",
        ];
        for (name, content) in SOURCES.into_iter().chain([("shell.html", SHELL)]) {
            for word in FORBIDDEN {
                assert!(!content.contains(word), "{name} has {word}");
            }
            let elsewhere = content.replace("http://www.w3.org/2000/svg", "");
            let elsewhere = elsewhere.replace("https://NODE:10250", "");
            assert!(!elsewhere.contains("http://"), "{name}");
            assert!(!elsewhere.contains("https://"), "{name}");
        }
        assert!(!SHELL.contains("style=") && !SHELL.contains(" on") && !SHELL.contains("<style"));
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes/pages");
        let mut there: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "shell.html")
            .collect();
        there.sort();
        let mut served: Vec<_> = FILES.others.iter().map(|(name, _)| *name).collect();
        served.sort_unstable();
        assert_eq!(there, served);
    }

    #[test]
    fn they_are_small() {
        let files = FILES.others.iter().map(|(_, file)| file).chain([&FILES.shell]);
        let bytes: usize = files.map(|file| file.gzip.as_ref().unwrap().len()).sum();
        assert!(bytes < 60_000, "{bytes} bytes go over the line");
    }
}
