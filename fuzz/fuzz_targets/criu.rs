//! Any bytes as an image of an otherwise sound checkpoint: no panic, and page runs that add up.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use pagevault_criu::{command_paths, identify, inspect, page_spaces};

macro_rules! image {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../crates/criu/tests/data/podman-counter/", $name)))
    };
}

const SOUND: [(&str, &[u8]); 8] = [
    image!("inventory.img"),
    image!("pstree.img"),
    image!("core-1.img"),
    image!("ids-1.img"),
    image!("mm-1.img"),
    image!("pagemap-1.img"),
    image!("fdinfo-2.img"),
    image!("files.img"),
];

fuzz_target!(|data: &[u8]| {
    let sound = SOUND.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
    let mut images: BTreeMap<String, Vec<u8>> = sound.collect();
    let kind = identify(data).unwrap_or("pagemap");
    for name in [format!("{kind}.img"), format!("{kind}-1.img"), format!("{kind}-2.img")] {
        images.insert(name, data.to_vec());
    }
    let report = inspect(&images);
    assert!(report.warnings.len() <= pagevault_criu::limits::WARNINGS_MAX + 1);
    for space in page_spaces(&images).0 {
        let end = space.runs.iter().fold(0, |next, run| {
            assert_eq!(run.first_page, next);
            next + run.pages
        });
        assert_eq!(space.pages(), end);
    }
    command_paths(&images);
});
