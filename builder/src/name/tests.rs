//! Every name that Kubernetes allows has a repository, and no two of them the same.

use pagevault_api::reference::check_repository;
use proptest::prelude::*;

use super::*;

fn pod(namespace: &str, pod: &str, container: &str) -> Identity {
    Identity {
        engine: Engine::Containerd,
        container_name: container.to_owned(),
        container_id: "0".repeat(64),
        pod: Some(pod.to_owned()),
        namespace: Some(namespace.to_owned()),
        pod_uid: None,
        sandbox_id: None,
        image_name: "image".to_owned(),
        image_ref: "0".repeat(64),
        image_digest: None,
        runtime: String::new(),
        created_at: None,
        checkpointed_at: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn components_are_always_valid() {
    let cases = [
        ("redis", "redis"),
        ("Big_Name", "big_name"),
        ("a..b", "a.b"),
        ("a.-b", "a.b"),
        ("a-.b", "a-b"),
        ("a--b", "a--b"),
        ("-x-", "x"),
        ("ümlaut", "mlaut"),
        ("???", "unnamed"),
        ("a b", "a-b"),
    ];
    for (name, expected) in cases {
        assert_eq!(component(name, 63), expected);
        check_repository(&component(name, 63)).unwrap();
    }
}

#[test]
fn a_cut_never_bares_a_dash_and_keeps_replicas_apart() {
    let name = "a".repeat(62) + "-0";
    let cut = component(&name, 63);
    check_repository(&cut).unwrap();
    assert_eq!((cut.len(), cut.matches('-').count()), (63, 1));
    let long = "cart-".repeat(49);
    let repositories = [0, 1]
        .map(|replica| default_repository(&pod("shop", &format!("{long}{replica}"), "redis")));
    assert_ne!(repositories[0], repositories[1]);
    for repository in repositories {
        check_repository(&repository).unwrap();
        assert!(repository.starts_with("shop/cart-cart-") && repository.ends_with("/redis"));
    }
}

#[test]
fn podman_names_of_any_length_fit() {
    let mut identity = pod("", "", &"A_".repeat(127));
    (identity.engine, identity.namespace, identity.pod) = (Engine::Podman, None, None);
    let repository = default_repository(&identity);
    check_repository(&repository).unwrap();
    assert_eq!(repository.len(), NAME_MAX);
}

#[test]
fn tags_are_times_in_utc() {
    let time: Timestamp = "2026-11-23T10:20:33.987+01:00".parse().unwrap();
    assert_eq!(time_tag(time), "20261123T092033Z");
}

/// A label of RFC 1123; dashes are frequent, as that is what goes wrong.
fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]|[a-z0-9][a-z0-9-]{0,10}[a-z0-9]|[a0][a0-]{50,61}[a0]"
}

fn subdomain() -> impl Strategy<Value = String> {
    let long = "[a0][a0-]{100,251}[a0]";
    let dotted = prop::collection::vec(label(), 1..6).prop_map(|labels| labels.join("."));
    prop_oneof![dotted, long.prop_map(|name| name)].prop_filter("at most 253", |n| n.len() <= 253)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn kubernetes_names_are_repositories(
        namespace in label(), pods in (subdomain(), subdomain()), container in label(),
    ) {
        let name = |name: &str| default_repository(&pod(&namespace, name, &container));
        let (one, other) = (name(&pods.0), name(&pods.1));
        check_repository(&one).unwrap();
        prop_assert_eq!(pods.0 == pods.1, one == other);
        if one.len() < NAME_MAX - 10 {
            prop_assert_eq!(one, format!("{namespace}/{}/{container}", pods.0));
        }
    }
}
