//! Images of the first versions, and of versions to come.

use pagevault_criu::{AreaKind, inspect};

use crate::encode::{
    CORE, CREDS, FDINFO, IDS, INETSK, INVENTORY, MM, PSTREE, REG_FILES, VMAS, bytes, numbers,
    old_image,
};
use crate::fixtures::{Images, images};

fn old_checkpoint() -> Images {
    let task = [numbers(&[(1, 3)]), bytes(6, b"old\0\0")].concat();
    let mm: Vec<_> = (1..=12).map(|field| (field, 3)).collect();
    let vma = [(1, 0x1000), (2, 0x3000), (3, 0), (4, 3), (5, 5), (6, 2), (7, 1 | 1 << 6), (8, 1)];
    let file = [numbers(&[(1, 3), (2, 0), (3, 9)]), bytes(6, b"/bin/old")].concat();
    let socket =
        [(1, 4), (2, 7), (3, 2), (4, 1), (5, 6), (6, 1), (7, 80), (8, 81), (11, 1), (12, 1)];
    let one = |magic, entry| old_image(magic, &[entry]);
    Images::from([
        ("inventory.img".into(), one(INVENTORY, numbers(&[(1, 1), (2, 1)]))),
        ("pstree.img".into(), one(PSTREE, numbers(&[(1, 9), (2, 0), (3, 9), (4, 9), (5, 9)]))),
        ("core-9.img".into(), one(CORE, [numbers(&[(1, 1)]), bytes(3, &task)].concat())),
        ("ids-9.img".into(), one(IDS, numbers(&[(1, 1), (2, 5), (3, 1), (4, 1)]))),
        ("creds-9.img".into(), one(CREDS, numbers(&[(1, 1000), (2, 100)]))),
        ("mm-9.img".into(), one(MM, numbers(&mm))),
        ("vmas-9.img".into(), one(VMAS, numbers(&vma))),
        ("reg-files.img".into(), one(REG_FILES, file)),
        ("inetsk.img".into(), one(INETSK, numbers(&socket))),
        (
            "fdinfo-5.img".into(),
            old_image(
                FDINFO,
                &[
                    numbers(&[(1, 4), (2, 0), (3, 4), (4, 8)]),
                    numbers(&[(1, 3), (2, 1), (3, 1), (4, 7)]),
                ],
            ),
        ),
    ])
}

#[test]
fn images_of_the_first_version_are_read() {
    let report = inspect(&old_checkpoint());
    assert_eq!(report.warnings, [""; 0]);
    assert_eq!(report.criu.unwrap().image_version, 1);
    let process = &report.processes[0];
    assert_eq!((process.comm.as_deref(), process.exe.as_deref()), (Some("old"), Some("/bin/old")));
    assert_eq!((process.uid, process.gid), (Some(1000), Some(100)));
    let area = &process.areas[0];
    assert_eq!((area.kind, area.file.as_deref()), (AreaKind::File, Some("/bin/old")));
    assert_eq!(area.perms, "r-xp");
    let files: Vec<_> = process.files.iter().map(|f| (f.fd, f.path_or_address.as_str())).collect();
    assert_eq!(files, [(7, "/bin/old"), (8, "1.0.0.0:80 -> 1.0.0.0:81")]);
    assert_eq!(report.tcp_connections.len(), 1);
}

#[test]
fn newer_versions_are_reported_and_the_rest_is_read() {
    let mut images = images("podman-counter");
    images.insert(
        "inventory.img".into(),
        old_image(INVENTORY, &[numbers(&[(1, 3), (2, 1), (6, 9), (15, 2)])]),
    );
    images.insert("amdgpu-kfd-1.img".into(), b"who knows what".to_vec());
    images.insert("nftables-10.img".into(), b"text".to_vec());
    let report = inspect(&images);
    assert_eq!(
        report.warnings,
        [
            "inventory.img: field 15 is not known",
            "inventory.img: images of version 3 are not known",
            "inventory.img: security module 9 is not known",
            "amdgpu-kfd-1.img: not an image of a known kind",
        ]
    );
    assert_eq!(report.processes.len(), 2);
    assert_eq!(report.processes[0].comm.as_deref(), Some("sh"));
}

#[test]
fn what_is_missing_is_reported_and_the_rest_is_read() {
    for name in images("podman-counter").into_keys() {
        let mut images = images("podman-counter");
        images.remove(&name);
        let report = inspect(&images);
        let told = report.warnings.iter().any(|warning| warning.starts_with(&name));
        let needed = ["core-", "mm-", "ids-", "fdinfo-", "inventory", "pstree", "files"];
        let needed = needed.iter().any(|prefix| name.starts_with(prefix));
        assert_eq!(told, needed, "{name}: {:?}", report.warnings);
        let processes = if name == "pstree.img" { 0 } else { 2 };
        assert_eq!(report.processes.len(), processes, "{name}");
    }
}
