//! Pagemaps by hand: each form that some CRIU wrote, and what none may write.

use pagevault_criu::{CriuError, Flags, PageRun, Pagemap, Problem};

use crate::encode::{PAGEMAP, bytes, image, numbers, old_image, pagemap};

fn read(bytes: &[u8]) -> Result<Pagemap, Problem> {
    Pagemap::read("pagemap-1.img", bytes).map_err(|CriuError { image, problem }| {
        assert_eq!(image, "pagemap-1.img");
        problem
    })
}

fn run(vaddr: u64, pages: u64, flags: u32, first_page: Option<u64>) -> PageRun {
    PageRun { vaddr, pages, flags: Flags(flags), first_page }
}

#[test]
fn first_pages_count_present_runs_only() {
    let map = pagemap(
        7,
        &[
            &[(1, 0x1000), (2, 0), (4, 4), (5, 3)],
            &[(1, 0x4000), (2, 0), (4, 1), (5, 5)],
            &[(1, 0x9000), (2, 0), (4, 2), (5, 1)],
            &[(1, 0xa000), (2, 0), (4, 6), (5, 2)],
        ],
    );
    let map = read(&map).unwrap();
    assert_eq!(map.pages_id, 7);
    assert_eq!(
        map.runs,
        [
            run(0x1000, 3, 4, Some(0)),
            run(0x4000, 5, 1, None),
            run(0x9000, 1, 2, None),
            run(0xa000, 2, 6, Some(3)),
        ]
    );
    assert_eq!(map.present_pages(), 5);
    assert!(map.needs_parent && map.lazy_missing && map.plain());
}

#[test]
fn old_images_have_in_parent_and_no_flags() {
    let entries = [
        numbers(&[(1, 1)]),
        numbers(&[(1, 0x1000), (2, 2)]),
        numbers(&[(1, 0x3000), (2, 1), (3, 1)]),
        numbers(&[(1, 0x4000), (2, 1), (3, 0)]),
    ];
    for bytes in [image(PAGEMAP, &entries), old_image(PAGEMAP, &entries)] {
        let map = read(&bytes).unwrap();
        assert_eq!(
            map.runs,
            [run(0x1000, 2, 4, Some(0)), run(0x3000, 1, 1, None), run(0x4000, 1, 4, Some(2))]
        );
        assert!(map.needs_parent && !map.lazy_missing);
    }
}

#[test]
fn either_page_count_is_read_and_both_must_agree() {
    let one = |fields: &[(u32, u64)]| read(&pagemap(1, &[fields])).map(|map| map.runs[0].pages);
    assert_eq!(one(&[(1, 0x1000), (2, 9), (4, 4)]), Ok(9));
    assert_eq!(one(&[(1, 0x1000), (2, 0), (4, 4), (5, 9)]), Ok(9));
    assert_eq!(one(&[(1, 0x1000), (4, 4), (5, 9)]), Ok(9));
    assert_eq!(one(&[(1, 0x1000), (2, 9), (4, 4), (5, 9)]), Ok(9));
    assert_eq!(one(&[(1, 0x1000), (2, 0), (4, 4), (5, 1 << 33)]), Ok(1 << 33));
    let differ = Problem::PageCounts { vaddr: 0x1000, old: 8, new: 9 };
    assert_eq!(one(&[(1, 0x1000), (2, 8), (4, 4), (5, 9)]), Err(differ));
    let none = Err(Problem::NoPages { vaddr: 0x1000 });
    assert_eq!(one(&[(1, 0x1000), (2, 0), (4, 4)]), none);
    assert_eq!(one(&[(1, 0x1000), (2, 0), (4, 4), (5, 0)]), none);
}

#[test]
fn compressed_pages_are_noticed_and_not_plain() {
    let plain = numbers(&[(1, 0x1000), (2, 0), (4, 4), (5, 2)]);
    for field in [
        numbers(&[(6, 900), (6, 800)]),
        numbers(&[(7, 1700)]),
        numbers(&[(8, 64)]),
        bytes(6, &numbers(&[(1, 64)])),
    ] {
        let entry = [plain.clone(), field].concat();
        let map = read(&image(PAGEMAP, &[numbers(&[(1, 1)]), entry])).unwrap();
        assert!(map.compressed && !map.plain(), "{map:?}");
    }
}

#[test]
fn what_is_not_known_is_reported() {
    let map = read(&pagemap(1, &[&[(1, 0x1000), (4, 4 | 8), (5, 1)]])).unwrap();
    assert_eq!((map.unknown_flags, map.plain()), (8, false));
    let map = read(&pagemap(1, &[&[(1, 0x1000), (4, 4), (5, 1), (19, 3)]])).unwrap();
    assert_eq!((map.unknown_fields.as_slice(), map.plain()), ([19].as_slice(), false));
    assert!(!map.compressed);
    let head = numbers(&[(1, 1), (2, 65536)]);
    let map = read(&image(PAGEMAP, &[head])).unwrap();
    assert_eq!((map.unknown_fields.as_slice(), map.plain()), ([2].as_slice(), false));
}

#[test]
fn runs_are_in_order_and_apart() {
    let two = |second: u64| {
        let first: &[_] = &[(1, 0x1000), (4, 4), (5, 2)];
        read(&pagemap(1, &[first, &[(1, second), (4, 4), (5, 1)]])).map(|map| map.runs.len())
    };
    assert_eq!(two(0x3000), Ok(2));
    for vaddr in [0x2000, 0x1000, 0] {
        assert_eq!(two(vaddr), Err(Problem::OutOfOrder { vaddr, previous_end: 0x3000 }));
    }
    assert_eq!(two(0x3800), Err(Problem::Unaligned { vaddr: 0x3800 }));
}

#[test]
fn runs_end_within_the_address_space() {
    let one = |vaddr: u64, pages: u64| {
        read(&pagemap(1, &[&[(1, vaddr), (4, 4), (5, pages)]])).map(|map| map.present_pages())
    };
    let top = 0xffff_ffff_ffff_e000;
    assert_eq!(one(top, 1), Ok(1));
    assert_eq!(one(top, 2), Err(Problem::Overflow { vaddr: top, pages: 2 }));
    assert_eq!(one(0, u64::MAX), Err(Problem::Overflow { vaddr: 0, pages: u64::MAX }));
}

#[test]
fn flags_must_say_where_the_pages_are() {
    let one = |fields: &[(u32, u64)]| read(&pagemap(1, &[fields])).map(|map| map.runs.len());
    let bad = |flags| Err(Problem::BadFlags { vaddr: 0x1000, flags });
    assert_eq!(one(&[(1, 0x1000), (4, 0), (5, 1)]), bad(0));
    assert_eq!(one(&[(1, 0x1000), (4, 5), (5, 1)]), bad(5));
    assert_eq!(one(&[(1, 0x1000), (3, 1), (4, 4), (5, 1)]), bad(5));
}

#[test]
fn damage_is_an_error() {
    let whole = pagemap(1, &[&[(1, 0x1000), (4, 4), (5, 1)]]);
    for length in [0, 3, 4, 7] {
        assert_eq!(read(&whole[..length]), Err(Problem::NoMagic), "{length}");
    }
    assert_eq!(read(&whole[..8]), Err(Problem::Empty));
    // Two lengths are right by chance: after the head, and at the end.
    for length in (9..whole.len()).filter(|length| *length != 14) {
        let found = read(&whole[..length]);
        assert!(matches!(found, Err(Problem::Truncated { .. })), "{length}: {found:?}");
    }
    let mut long = whole.clone();
    long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let left = whole.len() - 12;
    let declared = u64::from(u32::MAX);
    assert_eq!(read(&long), Err(Problem::Truncated { index: 0, declared, left }));
    let missing = read(&image(PAGEMAP, &[numbers(&[(1, 1)]), numbers(&[(4, 4), (5, 1)])]));
    assert_eq!(missing, Err(Problem::FieldMissing { index: 1, field: 1 }));
    let garbage = read(&image(PAGEMAP, &[numbers(&[(1, 1)]), vec![0xff; 20]]));
    assert!(matches!(garbage, Err(Problem::Undecodable { index: 1, .. })), "{garbage:?}");
    let core = read(&image(crate::encode::CORE, &[]));
    assert_eq!(core, Err(Problem::WrongMagic { found: 0x5505_3847, expected: "pagemap" }));
}
