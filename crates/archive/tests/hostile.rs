//! Every archive that must be refused is, for the reason that it was made for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pagevault_archive::{Limits, read_checkpoint};
use pagevault_testkit::{Flavour, HostileCase, Tarball, hostile_cases};

/// Each case and what was said to it. Made once: some take a while.
static CASES: LazyLock<Vec<(HostileCase, Option<String>)>> = LazyLock::new(|| {
    let read = |bytes: &[u8]| read_checkpoint(bytes, &Limits::default());
    let said = |case: &HostileCase| read(&case.bytes).err().map(|error| error.to_string());
    hostile_cases().into_iter().map(|case| (case.clone(), said(&case))).collect()
});

#[test]
fn hostile_archives_are_refused() {
    assert!(CASES.len() > 150, "{} cases", CASES.len());
    let wrong = CASES.iter().filter_map(|(case, said)| match said {
        None => Some(format!("{}: accepted", case.name)),
        Some(said) if said.contains(case.expect) => None,
        Some(said) => Some(format!("{}: {said} (not: {})", case.name, case.expect)),
    });
    let wrong = wrong.collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_are_short_printable_and_in_one_line() {
    for (case, said) in CASES.iter() {
        let said = said.as_deref().unwrap_or_default();
        assert!(said.chars().count() < 600, "{}: {said}", case.name);
        assert!(!said.chars().any(char::is_control), "{}: {said:?}", case.name);
        assert!(!said.contains('\u{202e}'), "{}: {said:?}", case.name);
    }
}

#[test]
fn cases_have_names_of_their_own() {
    let names = CASES.iter().map(|(case, _)| case.name).collect::<BTreeSet<_>>();
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
