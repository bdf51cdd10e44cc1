//! Which pages files get a page space, and which are left out.

use std::collections::BTreeMap;

use pagevault_criu::{AreaKind, Owner, PageSpace, Run, check_pages, inspect, page_spaces};

use crate::encode::{MM, bytes, image, numbers, pagemap};
use crate::fixtures::{Images, images};

const PLAIN: &[(u32, u64)] = &[(1, 0x1000), (4, 4), (5, 2)];

fn spaces_of(maps: &[(&str, Vec<u8>)]) -> (Vec<PageSpace>, Vec<String>) {
    let images: Images = maps.iter().map(|(name, map)| ((*name).into(), map.clone())).collect();
    page_spaces(&images)
}

#[test]
fn shared_memory_and_processes() {
    let (spaces, warnings) = spaces_of(&[
        ("pagemap-12.img", pagemap(2, &[PLAIN])),
        ("pagemap-shmem-98765.img", pagemap(1, &[&[(1, 0), (4, 4), (5, 7)]])),
        ("pagemap-x.img", b"not one".to_vec()),
        ("pagemap-07.img", b"not one".to_vec()),
    ]);
    assert_eq!(warnings, [""; 0]);
    let space = |pages_id, owner, vaddr, pages| PageSpace {
        pages_id,
        owner,
        runs: vec![Run { vaddr, pages, first_page: 0 }],
    };
    assert_eq!(
        spaces,
        [
            space(1, Owner::Shmem { id: 98_765 }, 0, 7),
            space(2, Owner::Process { pid: 12 }, 0x1000, 2)
        ]
    );
}

#[test]
fn two_pagemaps_of_one_file_leave_it_out() {
    let compressed: &[_] = &[(1, 0x1000), (4, 4), (5, 2), (7, 5)];
    for second in [PLAIN, compressed] {
        let (spaces, warnings) = spaces_of(&[
            ("pagemap-1.img", pagemap(3, &[PLAIN])),
            ("pagemap-2.img", pagemap(3, &[second])),
        ]);
        assert_eq!(spaces, []);
        let expected = "pages-3.img: 2 pagemaps name it".to_owned();
        assert!(warnings.contains(&expected), "{warnings:?}");
    }
}

#[test]
fn what_is_not_understood_is_left_out_and_told() {
    let cases: [(&[(u32, u64)], &str); 3] = [
        (&[(1, 0x1000), (4, 4), (5, 2), (6, 9)], "pages are compressed"),
        (&[(1, 0x1000), (4, 4), (5, 2), (21, 9)], "fields [21] are not known"),
        (&[(1, 0x1000), (4, 0x14), (5, 2)], "flags 0x10 are not known"),
    ];
    for (run, remark) in cases {
        let (spaces, warnings) = spaces_of(&[("pagemap-1.img", pagemap(1, &[run]))]);
        assert_eq!((spaces, warnings), (vec![], vec![format!("pagemap-1.img: {remark}")]));
    }
}

#[test]
fn pages_that_are_elsewhere_are_told_and_the_others_mapped() {
    let map = pagemap(1, &[&[(1, 0x1000), (4, 1), (5, 1)], &[(1, 0x5000), (4, 6), (5, 1)]]);
    let (spaces, warnings) = spaces_of(&[("pagemap-1.img", map)]);
    assert_eq!(spaces[0].runs, [Run { vaddr: 0x5000, pages: 1, first_page: 0 }]);
    assert_eq!(warnings, ["pagemap-1.img: pages of an earlier dump are needed and not here"]);
    let map = pagemap(1, &[&[(1, 0x1000), (4, 2), (5, 1)]]);
    let (spaces, warnings) = spaces_of(&[("pagemap-1.img", map)]);
    assert_eq!(spaces, []);
    assert_eq!(warnings, ["pagemap-1.img: pages were left to a page server and are not here"]);
}

#[test]
fn other_page_sizes_are_left_out() {
    let fields: Vec<_> = (1..=12).map(|field| (field, 3)).collect();
    let auxv = numbers(&[(13, 3), (13, 4096), (13, 6), (13, 65_536)]);
    let mm = image(MM, &[[numbers(&fields), auxv].concat()]);
    let (spaces, warnings) =
        spaces_of(&[("mm-1.img", mm), ("pagemap-1.img", pagemap(1, &[PLAIN]))]);
    assert_eq!(spaces, []);
    assert_eq!(warnings, ["pagemap-1.img: pages of 65536 bytes are not mapped"]);
}

#[test]
fn guards_have_no_pages_of_their_own() {
    let mut images = images("podman-counter");
    let fields: Vec<_> = (1..=12).map(|field| (field, 3)).collect();
    let area = |status: u64| {
        let fields = [(1, 0x401_000), (2, 0x402_000), (3, 0), (4, 0), (5, 3), (6, 2)];
        bytes(14, &[numbers(&fields), numbers(&[(7, status), (8, 1)])].concat())
    };
    let mm = [numbers(&fields), area(1 | 1 << 9), area(1 << 16)].concat();
    images.insert("mm-1.img".into(), image(MM, &[mm]));
    let report = inspect(&images);
    let told = report.processes[0].areas.iter().map(|area| (area.kind, area.present_pages));
    assert_eq!(told.collect::<Vec<_>>(), [(AreaKind::Anonymous, 1), (AreaKind::Guard, 0)]);
}

#[test]
fn a_file_of_another_size_is_told() {
    let (spaces, _) = spaces_of(&[("pagemap-1.img", pagemap(1, &[PLAIN]))]);
    assert_eq!(spaces[0].check_against(8192), Ok(()));
    let error = spaces[0].check_against(8191).unwrap_err();
    assert_eq!(error.to_string(), "pages-1.img: has 8191 bytes, the pagemap says 8192");
}

#[test]
fn a_checkpoint_without_all_its_pages_is_told() {
    let check = |run: &[(u32, u64)], bytes: u64| {
        let images = BTreeMap::from([("pagemap-1.img".to_owned(), pagemap(1, &[run]))]);
        check_pages(&images, |_| bytes).map_err(|error| error.to_string())
    };
    let run = |flags| [(1, 0x1000), (4, flags), (5, 2)];
    assert_eq!(check(&run(4), 8192), Ok(()));
    assert_eq!(check(&run(6), 8192), Ok(()));
    let error = |text: &str| Err(text.to_owned());
    let parent = "pagemap-1.img: pages of an earlier dump are needed and not here";
    assert_eq!(check(&run(1), 0), error(parent));
    let lazy = "pagemap-1.img: pages were left to a page server and are not here";
    assert_eq!(check(&run(2), 0), error(lazy));
    assert_eq!(check(&run(4), 0), error("pages-1.img: has 0 bytes, the pagemap says 8192"));
    // Compressed: how long the file must be is not known.
    assert_eq!(check(&[(1, 0x1000), (4, 4), (5, 2), (7, 100)], 100), Ok(()));
}

#[test]
fn shared_areas_have_the_pages_of_their_segment() {
    let mut images = images("podman-counter");
    let fields: Vec<_> = (1..=12).map(|field| (field, 3)).collect();
    let vma = [
        (1, 0x7000_0000),
        (2, 0x7000_3000),
        (3, 0x1000),
        (4, 42),
        (5, 3),
        (6, 1 | 0x20),
        (7, 1 | 1 << 8),
        (8, 1),
    ];
    let mm = [numbers(&fields), bytes(14, &numbers(&vma))].concat();
    images.insert("mm-1.img".into(), image(MM, &[mm]));
    let map = pagemap(9, &[&[(1, 0), (4, 4), (5, 3)], &[(1, 0x4000), (4, 4), (5, 1)]]);
    images.insert("pagemap-shmem-42.img".into(), map);
    let report = inspect(&images);
    let area = &report.processes[0].areas[0];
    assert_eq!((area.perms.as_str(), area.present_pages), ("rw-s", 2));
}
