//! Sockets by hand: connections, Unix names, what is not known.

use pagevault_criu::{FileKind, Report, inspect};

use crate::encode::{CORE, FDINFO, FILES, IDS, PIPES_DATA, PSTREE, bytes, image, numbers};
use crate::fixtures::Images;

/// One process whose table has these files, descriptors counted from 0.
fn process_with(mtype: u64, files: &[(u64, u32, Vec<u8>)]) -> Images {
    let entry = |(index, (kind, field, message)): (usize, &(u64, u32, Vec<u8>))| {
        [numbers(&[(1, *kind), (2, index as u64 + 100)]), bytes(*field, message)].concat()
    };
    let fd = |(index, (kind, ..)): (usize, &(u64, u32, Vec<u8>))| {
        numbers(&[(1, index as u64 + 100), (2, 0), (3, *kind), (4, index as u64)])
    };
    let task = [numbers(&[(1, 1)]), bytes(6, b"demo")].concat();
    let core = [numbers(&[(1, mtype)]), bytes(3, &task)].concat();
    let files_of = |entries: Vec<Vec<u8>>, magic| image(magic, &entries);
    Images::from([
        ("pstree.img".into(), image(PSTREE, &[numbers(&[(1, 1), (2, 0), (3, 1), (4, 1)])])),
        ("core-1.img".into(), image(CORE, &[core])),
        ("ids-1.img".into(), image(IDS, &[numbers(&[(1, 1), (2, 2), (3, 1), (4, 1)])])),
        ("files.img".into(), files_of(files.iter().enumerate().map(entry).collect(), FILES)),
        ("fdinfo-2.img".into(), files_of(files.iter().enumerate().map(fd).collect(), FDINFO)),
    ])
}

/// A message of an IP socket; addresses as words of the image.
fn inet(family: u64, proto: u64, state: u64, ports: (u64, u64), words: &[[u64; 2]]) -> Vec<u8> {
    let (source, destination) = ports;
    let head = [(1, 100), (2, 7), (3, family), (4, 1), (5, proto), (6, state)];
    let ports = [(7, source), (8, destination), (9, 2), (10, 0)];
    let sources = words.iter().map(|[source, _]| (11, *source));
    let destinations = words.iter().map(|[_, destination]| (12, *destination));
    let fields: Vec<_> = head.into_iter().chain(ports).chain(sources).chain(destinations).collect();
    numbers(&fields)
}

/// 10.1.2.3 and 192.168.0.9 as the memory of a little-endian host has them.
const ADDRESSES: [[u64; 2]; 1] = [[0x0302_010a, 0x0900_a8c0]];

fn sockets(report: &Report) -> Vec<(&str, &str, &str)> {
    let files = report.processes[0].files.iter();
    files
        .map(|file| {
            let socket = file.socket.as_ref().unwrap();
            (socket.family.as_str(), socket.state.as_str(), file.path_or_address.as_str())
        })
        .collect()
}

#[test]
fn tcp_connections_are_found_in_whatever_state() {
    let files = [
        (4, 4, inet(2, 6, 1, (8080, 40_000), &ADDRESSES)),
        (4, 4, inet(2, 6, 8, (8080, 40_001), &ADDRESSES)),
        (4, 4, inet(2, 6, 10, (8080, 0), &[[0, 0]])),
        (4, 4, inet(2, 6, 7, (0, 0), &[[0, 0]])),
        (4, 4, inet(2, 17, 1, (53, 53), &ADDRESSES)),
    ];
    let report = inspect(&process_with(1, &files));
    let found: Vec<_> = report
        .tcp_connections
        .iter()
        .map(|c| (c.state.as_str(), c.local.as_deref(), c.remote.as_deref(), c.processes.clone()))
        .collect();
    let local = Some("10.1.2.3:8080");
    assert_eq!(
        found,
        [
            ("established", local, Some("192.168.0.9:40000"), vec![1]),
            ("close-wait", local, Some("192.168.0.9:40001"), vec![1]),
        ]
    );
    assert_eq!(sockets(&report)[0].2, "10.1.2.3:8080 -> 192.168.0.9:40000");
    assert_eq!(sockets(&report)[3], ("inet", "close", "0.0.0.0:0"));
}

#[test]
fn a_connection_that_nobody_holds_is_told_too() {
    let mut images = process_with(1, &[(4, 4, inet(2, 6, 1, (1, 2), &ADDRESSES))]);
    images.insert("fdinfo-2.img".into(), image(FDINFO, &[]));
    let report = inspect(&images);
    assert_eq!(report.tcp_connections.len(), 1);
    assert_eq!(report.tcp_connections[0].processes, [0; 0]);
}

#[test]
fn addresses_are_in_the_order_of_the_host() {
    let six = [[0, 0], [0, 0], [0xffff_0000, 0xffff_0000], [0x0302_010a, 0x0900_a8c0]];
    let report = inspect(&process_with(1, &[(4, 4, inet(10, 6, 1, (1, 2), &six))]));
    assert_eq!(sockets(&report)[0].2, "[::ffff:10.1.2.3]:1 -> [::ffff:192.168.0.9]:2");
    let big = [[0x0a01_0203, 0xc0a8_0009]];
    let report = inspect(&process_with(5, &[(4, 4, inet(2, 6, 1, (1, 2), &big))]));
    assert_eq!(report.architecture.as_deref(), Some("s390x"));
    assert_eq!(sockets(&report)[0].2, "10.1.2.3:1 -> 192.168.0.9:2");
}

#[test]
fn unix_sockets_have_paths_abstract_names_or_none() {
    let unix = |state: u64, peer: u64, name: &[u8]| {
        let fields = [(1, 100), (2, 77), (3, 1), (4, state), (5, 2), (6, 0), (7, 0), (8, peer)];
        [numbers(&fields), bytes(11, name)].concat()
    };
    let files = [
        (5, 16, unix(10, 0, b"/run/demo.sock\0")),
        (5, 16, unix(1, 78, b"\0abstract\0x")),
        (5, 16, unix(7, 0, b"")),
    ];
    let report = inspect(&process_with(1, &files));
    assert_eq!(
        sockets(&report),
        [
            ("unix", "listen", "/run/demo.sock"),
            ("unix", "established", "@abstract@x -> socket:[78]"),
            ("unix", "close", "socket:[77]"),
        ]
    );
    assert_eq!(report.tcp_connections, []);
}

#[test]
fn packet_and_netlink_sockets() {
    let packet = numbers(&[(1, 100), (2, 3), (3, 0x0003), (4, 2), (5, 4)]);
    let netlink = numbers(&[(1, 100), (2, 9), (3, 15), (4, 7), (6, 2), (7, 1234)]);
    let report = inspect(&process_with(1, &[(10, 6, packet), (13, 7, netlink)]));
    assert_eq!(
        sockets(&report),
        [("packet", "close", "interface 4"), ("netlink", "close", "1234")]
    );
}

#[test]
fn numbers_without_a_name_are_reported() {
    let files = [(4, 4, inet(99, 250, 33, (1, 2), &ADDRESSES)), (21, 23, numbers(&[(1, 1)]))];
    let report = inspect(&process_with(77, &files));
    let file = &report.processes[0].files[1];
    assert_eq!((file.kind, file.path_or_address.as_str()), (FileKind::Unknown, "unknown"));
    for warning in [
        "core-1.img: architecture 77 is not known",
        "files.img: field 23 is not known",
        "files.img: kind 21 of file 101 is not known",
        "files.img: family 99 of socket 100 is not known",
        "files.img: protocol 250 of socket 100 is not known",
        "files.img: state 33 of socket 100 is not known",
        "files.img: an address of socket 100 is not sound",
    ] {
        assert!(report.warnings.iter().any(|w| w == warning), "{warning}: {:?}", report.warnings);
    }
}

#[test]
fn bytes_that_wait_in_a_pipe() {
    let pipe = numbers(&[(1, 100), (2, 55), (3, 1)]);
    let mut images = process_with(1, &[(2, 18, pipe)]);
    let data = |id, length| numbers(&[(1, id), (2, length), (3, 65_536)]);
    let framed =
        |entry: Vec<u8>| [vec![u8::try_from(entry.len()).unwrap(), 0, 0, 0], entry].concat();
    let body = [framed(data(54, 3)), b"abc".to_vec(), framed(data(55, 2)), b"de".to_vec()];
    let body = [image(PIPES_DATA, &[]), body.concat()].concat();
    images.insert("pipes-data.img".into(), body.clone());
    assert_eq!(inspect(&images).processes[0].files[0].waiting_bytes, Some(2));
    images.insert("pipes-data.img".into(), body[..body.len() - 1].to_vec());
    let warnings = inspect(&images).warnings;
    assert!(warnings.contains(&"pipes-data.img: entry 1 is 2 bytes, 1 are left".to_owned()));
}
