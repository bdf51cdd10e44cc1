//! Every archive that must be refused is, for the reason that it was made for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pagevault_archive::{Limits, read_checkpoint};
use pagevault_testkit::{Flavour, HostileCase, Tarball, hostile_cases};

/// Made once: one of them takes a while.
static CASES: LazyLock<Vec<HostileCase>> = LazyLock::new(hostile_cases);

#[test]
fn hostile_archives_are_refused() {
    assert!(CASES.len() > 150, "{} cases", CASES.len());
    let mut wrong = Vec::new();
    for case in CASES.iter() {
        match read_checkpoint(&*case.bytes, &Limits::default()) {
            Ok(_) => wrong.push(format!("{}: accepted", case.name)),
            Err(error) if error.to_string().contains(case.expect) => {}
            Err(error) => wrong.push(format!("{}: {error} (not: {})", case.name, case.expect)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_are_short_printable_and_in_one_line() {
    for case in CASES.iter() {
        let message = read_checkpoint(&*case.bytes, &Limits::default()).unwrap_err().to_string();
        assert!(message.chars().count() < 600, "{}: {message}", case.name);
        assert!(!message.chars().any(char::is_control), "{}: {message:?}", case.name);
        assert!(!message.contains('\u{202e}'), "{}: {message:?}", case.name);
    }
}

#[test]
fn cases_have_names_of_their_own() {
    let names = CASES.iter().map(|case| case.name).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), CASES.len());
}

#[test]
fn what_the_cases_start_from_is_accepted() {
    for flavour in [Flavour::Podman, Flavour::Containerd, Flavour::CriO] {
        let tar = Tarball::new(flavour).build();
        let checkpoint = read_checkpoint(&*tar, &Limits::default()).unwrap();
        assert_eq!(checkpoint.identity.container_name, "redis");
        assert_eq!(checkpoint.total_bytes, u64::try_from(tar.len()).unwrap());
        assert_eq!(checkpoint.pages_bytes, 4 * 4096);
    }
}
