//! Any bytes as a checkpoint archive: no panic, no runaway memory, and what is accepted adds up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pagevault_archive::{Limits, check_inner, read_checkpoint};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_bytes: 64 << 20, max_inner_bytes: 64 << 20, ..Limits::default() };
    if let Ok(checkpoint) = read_checkpoint(data, &limits) {
        assert!(checkpoint.total_bytes <= limits.max_bytes + limits.max_tail_bytes);
        assert!(checkpoint.pages_bytes <= checkpoint.total_bytes);
    }
    let _ = check_inner("fuzz", data, &limits);
    // CRIU's own, in which sparse files are legal.
    let _ = check_inner("checkpoint/tmpfs-1.tar.gz.img", data, &limits);
});
