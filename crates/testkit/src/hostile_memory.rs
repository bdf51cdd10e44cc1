//! Archives that are refused for what their memory images or their time say: not by the reader of archives,
//! which knows neither CRIU's images nor what time it is.

use crate::criu_images::{pagemap_flagged, pages};
use crate::hostile::{HostileCase, case, valid};
use crate::raw_tar::MTIME;
use crate::tarball::{Flavour, PAGE_BYTES, Process, Tarball};

/// Archives that a registry must refuse, beside [`crate::hostile_cases`].
#[must_use]
pub fn hostile_memory_cases() -> Vec<HostileCase> {
    [memories(), times()].concat()
}

fn memories() -> Vec<HostileCase> {
    let flagged = |flags| {
        let map = pagemap_flagged(1, &process(), flags);
        valid().member("checkpoint/pagemap-1.img", map).build()
    };
    let sized = |bytes: usize| {
        let mut pages = pages(&process());
        pages.resize(bytes, 0);
        valid().member("checkpoint/pages-1.img", pages).build()
    };
    vec![
        case("pages of a parent", flagged(PARENT), "pages of an earlier dump are needed"),
        case("pages left to a page server", flagged(LAZY), "pages were left to a page server"),
        case("pages cut", sized(3 * PAGE_BYTES), "pages-1.img: has 12288 bytes, the pagemap says"),
        case("a page too many", sized(5 * PAGE_BYTES), "pages-1.img: has 20480 bytes"),
        case("pages not whole", sized(4 * PAGE_BYTES - 1), "pages-1.img: has 16383 bytes"),
        case(
            "no pages",
            valid().without("checkpoint/pages-1.img").build(),
            "pages-1.img: has 0 bytes, the pagemap says 16384",
        ),
    ]
}

const PARENT: u64 = 1;
const LAZY: u64 = 2;

/// That of [`valid`].
fn process() -> Process {
    let pages = (1_u8..=4).flat_map(|fill| [fill; PAGE_BYTES]).collect();
    Process { pid: 1, runs: vec![(0x7000_0000_0000, pages)] }
}

/// The newest checkpoint is what `latest` is: one of the far future would be it for ever.
fn times() -> Vec<HostileCase> {
    const YEAR_9998: u64 = 253_339_228_800;
    vec![
        case("checkpointed in 9998", valid().at(YEAR_9998).build(), "more than a day ahead"),
        case(
            "podman's images of 9998",
            Tarball::new(Flavour::Podman).at(YEAR_9998).build(),
            "more than a day ahead",
        ),
        case(
            "checkpointed in some years",
            valid().at(MTIME + 20 * 365 * 86_400).build(),
            "more than a day ahead",
        ),
    ]
}
