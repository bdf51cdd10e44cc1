//! The page maps of real checkpoints fit their pages files to the byte.

use pagevault_criu::{Owner, PageSpace, Run, page_spaces};

use crate::fixtures::images;

fn spaces(name: &str) -> Vec<PageSpace> {
    let (spaces, warnings) = page_spaces(&images(name));
    assert_eq!(warnings, [""; 0], "{name}");
    spaces
}

#[test]
fn runs_cover_every_byte_of_the_pages_files() {
    // Checkpoint, pages id, process, runs, bytes of the pages file.
    let expected = [
        ("cart-redis-1", 1, 1, 117, 14_696_448),
        ("cart-redis-2", 1, 1, 118, 14_704_640),
        ("cart-redis-3", 1, 1, 117, 14_708_736),
        ("cart-redis-4", 1, 1, 116, 14_712_832),
        ("cri-containerd-counter", 1, 7, 7, 73_728),
        ("cri-containerd-counter", 2, 16, 7, 65_536),
        ("cri-o-counter", 1, 1, 7, 69_632),
        ("cri-o-counter", 2, 9, 7, 65_536),
        ("kubelet-containerd-redis", 1, 1, 106, 3_043_328),
        ("podman-counter", 1, 1, 7, 69_632),
        ("podman-counter", 2, 5, 7, 65_536),
    ];
    for (name, pages_id, pid, runs, bytes) in expected {
        let spaces = spaces(name);
        let space = spaces.iter().find(|space| space.pages_id == pages_id).unwrap();
        assert_eq!(space.owner, Owner::Process { pid }, "{name}");
        assert_eq!(space.runs.len(), runs, "{name}");
        assert_eq!(space.pages() * 4096, bytes, "{name}");
        assert_eq!(space.check_against(bytes), Ok(()), "{name}");
        assert!(space.check_against(bytes - 1).is_err() && space.check_against(bytes + 1).is_err());
    }
    assert_eq!(crate::fixtures::ALL.map(|name| spaces(name).len()), [1, 1, 1, 1, 2, 2, 1, 2]);
}

#[test]
fn runs_of_the_podman_shell() {
    let spaces = spaces("podman-counter");
    let run = |vaddr, pages, first_page| Run { vaddr, pages, first_page };
    assert_eq!(
        spaces[0].runs,
        [
            run(0x40_1000, 1, 0),
            run(0x5f_1000, 5, 1),
            run(0x5f_6000, 1, 6),
            run(0x5f_b000, 2, 7),
            run(0x1e41_c000, 4, 9),
            run(0x7f74_f819_6000, 2, 13),
            run(0x7ffe_2345_f000, 2, 15),
        ]
    );
    assert_eq!(spaces[0].pages_image(), "pages-1.img");
}
