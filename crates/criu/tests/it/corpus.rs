//! The corpus of the fuzz target, each file as the image that it is.

use std::path::Path;

use pagevault_criu::{command_paths, identify, inspect, page_spaces};

use crate::fixtures::images;

#[test]
fn the_corpus_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/criu");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        let kind = identify(&data).unwrap_or("pagemap");
        let mut images = images("podman-counter");
        for name in [format!("{kind}.img"), format!("{kind}-1.img"), format!("{kind}-2.img")] {
            images.insert(name, data.clone());
        }
        inspect(&images);
        page_spaces(&images);
        command_paths(&images);
        count += 1;
    }
    assert!(count >= 15, "{count}");
}
