//! Who may name whom. `tidy` compares this table with every `Cargo.toml`.

/// What one crate may and must not depend on. Development dependencies are not looked at.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The crate.
    pub(crate) name: &'static str,
    /// Exactly the crates of this workspace that it depends on, sorted.
    pub(crate) uses: &'static [&'static str],
    /// Libraries that it must not name.
    pub(crate) never: &'static [&'static str],
    /// Why it is so; printed with a complaint.
    pub(crate) why: &'static str,
}

const fn layer(
    name: &'static str,
    uses: &'static [&'static str],
    never: &'static [&'static str],
    why: &'static str,
) -> Layer {
    Layer { name, uses, never, why }
}

// Leaves first; a crate stands below all that it uses.
#[rustfmt::skip]
pub(crate) const LAYERS: &[Layer] = &[
    layer("pagevault-api", &[], &["tokio", "axum", "hyper", "reqwest"], "the contract is words: both sides of the wire share it"),
    layer("pagevault-archive", &[], &["tokio", "async-trait", "futures-util", "axum", "hyper", "reqwest"], "a parser: bytes from a Read, nothing else"),
    layer("pagevault-criu", &[], &["tokio", "async-trait", "futures-util", "axum", "hyper", "reqwest", "tar"], "a parser: bytes in, types out"),
    layer("pagevault-objects", &[], &["axum", "clap", "oci-spec", "tar", "zstd"], "stores bytes under names and knows no format"),
    layer("pagevault-pagestore", &["pagevault-objects"], &["axum", "hyper", "reqwest", "clap", "oci-spec"], "pages and recipes; images and HTTP are others' business"),
    layer("pagevault-catalog", &["pagevault-api", "pagevault-objects"], &["axum", "hyper", "reqwest", "clap"], "names over objects; no HTTP"),
    layer("pagevault-builder", &["pagevault-api", "pagevault-archive"], &["axum", "hyper", "reqwest", "tokio", "rusqlite"], "checkpoint to image in one pass; no HTTP, no storage"),
    layer("pagevault-registry", &["pagevault-api", "pagevault-archive", "pagevault-builder", "pagevault-catalog", "pagevault-criu", "pagevault-objects", "pagevault-pagestore"], &["axum", "hyper", "reqwest", "clap"], "the use cases, the same for HTTP, CLI and tests"),
    layer("pagevault-server", &["pagevault-api", "pagevault-registry"], &["kube", "clap", "rusqlite"], "HTTP over the use cases; reaches storage through them only"),
    layer("pagevault-client", &["pagevault-api", "pagevault-archive", "pagevault-criu"], &["axum", "hyper", "tower-http", "rusqlite", "clap"], "goes to nodes: no server code in it"),
    layer("pagevault", &["pagevault-api", "pagevault-archive", "pagevault-builder", "pagevault-client", "pagevault-criu", "pagevault-registry", "pagevault-server"], &["axum", "hyper", "kube", "rusqlite"], "puts parts together and holds none of their logic"),
    layer("pagevault-testkit", &[], &["tokio", "axum"], "makes archives by itself: a mistake of ours must not hide in its own test"),
    layer("pagevault-tests", &[], &[], "tests only: what it uses is for development"),
    layer("xtask", &[], &["tokio", "clap", "serde"], "the first thing a fresh clone builds: tiny"),
];
