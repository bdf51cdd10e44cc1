//! Nothing from outside can panic, and little can become much.

use pagevault_criu::{Pagemap, command_paths, identify, inspect, limits, page_spaces};
use proptest::prelude::*;

use crate::encode::{CORE, FDINFO, FILES, IDS, MM, PSTREE, bytes, image, numbers};
use crate::fixtures::{Images, images};

fn read_all(images: &Images) {
    let report = inspect(images);
    assert!(report.warnings.len() <= limits::WARNINGS_MAX + 1);
    serde_json::to_string(&report).unwrap();
    let (spaces, _) = page_spaces(images);
    for space in spaces {
        // Runs tile the file.
        let mut next = 0;
        for run in &space.runs {
            assert_eq!(run.first_page, next);
            next += run.pages;
        }
        assert_eq!(space.pages(), next);
        let _ = space.check_against(next.saturating_mul(4096));
    }
    command_paths(images);
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
    let change = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Repeat(a, b)),
    ];
    proptest::collection::vec((any::<usize>(), change), 1..12)
}

fn apply(images: &mut Images, which: usize, change: &Change) {
    let index = which % images.len();
    let Some(bytes) = images.values_mut().nth(index) else { return };
    let at = |at: usize, bytes: &[u8]| at % (bytes.len() + 1);
    match change {
        Change::Set(position, byte) => {
            let position = at(*position, bytes);
            if let Some(old) = bytes.get_mut(position) {
                *old = *byte;
            }
        }
        Change::Cut(position) => bytes.truncate(at(*position, bytes)),
        Change::Insert(position, new) => {
            let position = at(*position, bytes);
            bytes.splice(position..position, new.iter().copied());
        }
        Change::Repeat(from, to) => {
            let (from, to) = (at(*from, bytes), at(*to, bytes));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.extend_from_slice(&part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn changed_images_do_not_panic(changes in changes(), redis in any::<bool>()) {
        let name = if redis { "kubelet-containerd-redis" } else { "podman-counter" };
        let mut images = images(name);
        for (which, change) in &changes {
            apply(&mut images, *which, change);
        }
        read_all(&images);
    }

    #[test]
    fn any_bytes_do_not_panic(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        which in any::<usize>(),
        magic in any::<bool>(),
    ) {
        let mut images = images("podman-counter");
        let index = which % images.len();
        let (_, bytes) = images.iter_mut().nth(index).unwrap();
        bytes.truncate(if magic { 8 } else { 0 });
        bytes.extend_from_slice(&body);
        identify(bytes);
        let _ = Pagemap::read("pagemap-1.img", bytes);
        read_all(&images);
    }
}

#[test]
fn a_message_of_empty_parts_is_refused() {
    let fields: Vec<_> = (1..=12).map(|field| (field, 3)).collect();
    let areas = bytes(14, &[]).repeat(limits::FIELDS_MAX);
    let mut images = images("podman-counter");
    images.insert("mm-1.img".into(), image(MM, &[[numbers(&fields), areas].concat()]));
    let warnings = inspect(&images).warnings;
    let expected = "mm-1.img: entry 0 cannot be decoded: too many fields";
    assert!(warnings.iter().any(|warning| warning == expected), "{warnings:?}");
}

#[test]
fn a_ring_of_parents_ends() {
    let process = |pid, ppid| numbers(&[(1, pid), (2, ppid), (3, 1), (4, 1)]);
    let ring = image(PSTREE, &[process(1, 2), process(2, 1), process(3, 3)]);
    let images = Images::from([("pstree.img".into(), ring)]);
    let paths = command_paths(&images);
    assert_eq!(paths[&3].len(), 2 * limits::DEPTH_MAX - 1);
}

/// Many processes that share one large table of files and one long name: small images, and a report
/// that would be larger than memory.
#[test]
fn shared_tables_do_not_multiply() {
    let pids = 1..=300_u64;
    let task = [numbers(&[(1, 1)]), bytes(6, b"many")].concat();
    let core = image(CORE, &[[numbers(&[(1, 1)]), bytes(3, &task)].concat()]);
    let ids = image(IDS, &[numbers(&[(1, 1), (2, 2), (3, 1), (4, 1)])]);
    let mut images = Images::new();
    for pid in pids.clone() {
        images.insert(format!("core-{pid}.img"), core.clone());
        images.insert(format!("ids-{pid}.img"), ids.clone());
    }
    let tree: Vec<_> = pids.map(|pid| numbers(&[(1, pid), (2, 0), (3, 1), (4, 1)])).collect();
    images.insert("pstree.img".into(), image(PSTREE, &tree));
    let name = vec![b'x'; 100_000];
    let file = [numbers(&[(1, 7)]), bytes(6, &name)].concat();
    let file = [numbers(&[(1, 1), (2, 7)]), bytes(3, &file)].concat();
    images.insert("files.img".into(), image(FILES, &[file]));
    let fds: Vec<_> = (0..3_000).map(|fd| numbers(&[(1, 7), (2, 0), (3, 1), (4, fd)])).collect();
    images.insert("fdinfo-2.img".into(), image(FDINFO, &fds));

    let report = inspect(&images);
    let files: usize = report.processes.iter().map(|process| process.files.len()).sum();
    assert!(files <= limits::ITEMS_MAX);
    let names = report.processes.iter().flat_map(|process| &process.files);
    let text: usize = names.map(|file| file.path_or_address.len()).sum();
    assert!(text <= limits::TEXT_BYTES_MAX + files * "unknown".len(), "{text}");
    assert!(report.warnings.iter().any(|warning| warning.contains("cut short")));
}
