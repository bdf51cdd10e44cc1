//! Pages for people: made here, without scripts and without anything from elsewhere.

use std::fmt::{self, Write as _};

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse as _, Response};
use pagevault_api::checkpoint::{Checkpoint, CheckpointFilter, CheckpointOrder};
use pagevault_api::size::ByteSize;
use pagevault_api::stats::StoreStats;

use crate::app::Shared;
use crate::errors::{Failure, Handled};
use crate::query::encode;
use crate::reply::{set, text};

/// Checkpoints that the start page shows.
const SHOWN: usize = 50;

const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// `GET /`: the newest checkpoints, and how to push and pull.
pub(crate) async fn start(State(app): State<Shared>, headers: HeaderMap) -> Response {
    page(&app, &headers).await.unwrap_or_else(Failure::into_problem)
}

/// `GET /style.css`: a file of its own, so that the policy can forbid styles in pages.
pub(crate) async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, include_str!("style.css")).into_response()
}

async fn page(app: &Shared, headers: &HeaderMap) -> Handled {
    let stats = app.registry.stats().await?;
    let newest = app
        .registry
        .checkpoints(CheckpointFilter::default(), CheckpointOrder::default(), None, SHOWN)
        .await?;
    let listen = app.settings.listen.to_string();
    let host = text(headers, "host").unwrap_or(&listen);
    let html = render(host, &stats, &newest.items)
        .map_err(|_| Failure::invalid("the page cannot be written"))?;
    let mut response = Html(html).into_response();
    set(&mut response, "content-security-policy", POLICY);
    set(&mut response, "x-frame-options", "DENY");
    set(&mut response, "referrer-policy", "no-referrer");
    set(&mut response, "cache-control", "no-store");
    Ok(response)
}

fn render(host: &str, stats: &StoreStats, items: &[Checkpoint]) -> Result<String, fmt::Error> {
    let host = Escaped(host);
    let mut html = String::new();
    write!(
        html,
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pagevault</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="#checkpoints">Skip to the checkpoints</a>
<header>
<h1>Pagevault</h1>
<p>{} checkpoints in {} repositories: {} in {} on disk</p>
</header>
<main>
"##,
        stats.checkpoints,
        stats.repositories,
        ByteSize(stats.logical_bytes).human(),
        ByteSize(stats.stored_bytes).human(),
    )?;
    table(&mut html, items)?;
    let example = items.first().map(|c| c.reference.to_string());
    let example = example.as_deref().unwrap_or("NAMESPACE/POD/CONTAINER:TAG");
    write!(
        html,
        r#"<section aria-labelledby="how">
<h2 id="how">Push and pull</h2>
<pre tabindex="0"><code>pagevault push checkpoint.tar --server http://{host}
pagevault pull {0} -o checkpoint.tar --server http://{host}
podman pull --tls-verify=false {host}/{0}</code></pre>
</section>
</main>
<footer><p>Version {1} · <a href="/api/v1/checkpoints">as JSON</a></p></footer>
</body>
</html>
"#,
        Escaped(example),
        Escaped(&stats.version),
    )?;
    Ok(html)
}

fn table(html: &mut String, items: &[Checkpoint]) -> fmt::Result {
    html.push_str("<section aria-labelledby=\"checkpoints\" tabindex=\"-1\">\n");
    html.push_str("<h2 id=\"checkpoints\">Newest checkpoints</h2>\n");
    if items.is_empty() {
        html.push_str("<p>None yet. Push one, as shown below.</p>\n</section>\n");
        return Ok(());
    }
    html.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"checkpoints\">\n\
         <table>\n<thead><tr><th scope=\"col\">Reference</th><th scope=\"col\">Taken</th>\
         <th scope=\"col\">Size</th><th scope=\"col\">Stored</th></tr></thead>\n<tbody>\n",
    );
    for item in items {
        let reference = item.reference.to_string();
        writeln!(
            html,
            "<tr><th scope=\"row\"><a href=\"/api/v1/checkpoints/{}\">{}</a></th>\
             <td><time>{}</time></td><td>{}</td><td>{}</td></tr>",
            encode(&reference),
            Escaped(&reference),
            Escaped(&item.created_at.to_string()),
            ByteSize(item.logical_bytes).human(),
            ByteSize(item.stored_bytes).human(),
        )?;
    }
    html.push_str("</tbody>\n</table>\n</div>\n</section>\n");
    Ok(())
}

/// A text that stands for nothing but itself in HTML, also within quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        let html = render("\"><script>alert(1)</script>", &StoreStats::default(), &[]).unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(Escaped("<a href='x'>&\"").to_string(), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert!(html.contains("None yet"));
    }
}
