//! `inventory.img`: the dump as a whole (criu `images/inventory.proto`, `criu/image.c`).

use serde::Serialize;

use crate::core::Ids;
use crate::magic::ImageKind;
use crate::message::{Entry, read_one, text};
use crate::tables::{lsm, network_lock};
use crate::warnings::Warnings;

/// The versions of images that CRIU restores: 1 without and 2 with a common magic
/// (criu `criu/include/magic.h`, `CRTOOLS_IMAGES_V1` and `_V1_1`).
const VERSIONS: [u32; 2] = [1, 2];

/// The entry of `inventory.img`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Inventory {
    /// Version of the images: 1 or 2.
    #[prost(uint32, tag = "1")]
    pub img_version: u32,
    /// Open files are in one image for each table of files; CRIU restores no other images.
    #[prost(bool, optional, tag = "2")]
    pub fdinfo_per_id: Option<bool>,
    /// Namespaces and shared tables of the process that ran CRIU.
    #[prost(message, optional, tag = "3")]
    pub root_ids: Option<Ids>,
    /// Namespaces have images by their id.
    #[prost(bool, optional, tag = "4")]
    pub ns_per_id: Option<bool>,
    /// Set of cgroups of the process that ran CRIU.
    #[prost(uint32, optional, tag = "5")]
    pub root_cg_set: Option<u32>,
    /// Security module of the host: 0 none, 1 SELinux, 2 AppArmor.
    #[prost(uint32, optional, tag = "6")]
    pub lsmtype: Option<u32>,
    /// Uptime of the host in microseconds, for dumps that build on another.
    #[prost(uint64, optional, tag = "8")]
    pub dump_uptime: Option<u64>,
    /// How pages were read in a dump before the last.
    #[prost(uint32, optional, tag = "9")]
    pub pre_dump_mode: Option<u32>,
    /// Dumped with `--tcp-close`, which a restore then has to say too.
    #[prost(bool, optional, tag = "10")]
    pub tcp_close: Option<bool>,
    /// How the network was held still: 0 iptables, 1 nftables, 2 not at all.
    #[prost(uint32, optional, tag = "11")]
    pub network_lock_method: Option<u32>,
    /// Plugins that wrote images and that a restore needs; absent before CRIU 4.
    #[prost(message, optional, tag = "12")]
    pub plugins: Option<Plugins>,
    /// Random name of the run of CRIU that dumped.
    #[prost(bytes = "vec", optional, tag = "13")]
    pub dump_criu_run_id: Option<Vec<u8>>,
    /// Dumped with `--allow-uprobes`, which a restore then has to say too.
    #[prost(bool, optional, tag = "14")]
    pub allow_uprobes: Option<bool>,
}

/// The plugins that a dump used.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Plugins {
    /// Their names, such as `cuda_plugin`.
    #[prost(bytes = "vec", repeated, tag = "12")]
    pub names: Vec<Vec<u8>>,
}

impl Entry for Inventory {
    const REQUIRED: &'static [u32] = &[1];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14];
}

/// What a reader wants to know of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InventorySummary {
    /// Version of the images: 1 or 2.
    pub image_version: u32,
    /// Security module of the host, if it had one: `selinux` or `apparmor`.
    pub lsm: Option<String>,
    /// Uptime of the host in microseconds, for dumps that build on another.
    pub dump_uptime_us: Option<u64>,
    /// Random name of the run of CRIU that dumped.
    pub run_id: Option<String>,
    /// A restore must close TCP connections.
    pub tcp_close: bool,
    /// A restore must allow user-space probes.
    pub allow_uprobes: bool,
    /// How the network was held still: `iptables`, `nftables` or `skip`.
    pub network_lock: Option<String>,
    /// Plugins that a restore needs.
    pub plugins: Vec<String>,
}

/// Reads `inventory.img`.
pub(crate) fn summary(bytes: &[u8], warnings: &mut Warnings) -> Option<InventorySummary> {
    const IMAGE: &str = "inventory.img";
    let read = read_one::<Inventory>(IMAGE, bytes, ImageKind::Inventory, warnings);
    let inventory = warnings.take(read)?;
    let version = inventory.img_version;
    if !VERSIONS.contains(&version) {
        warnings.add(format_args!("{IMAGE}: images of version {version} are not known"));
    }
    if inventory.fdinfo_per_id != Some(true) {
        warnings.add(format_args!("{IMAGE}: too old for CRIU to restore"));
    }
    let mut name = |what: &str, value: Option<u32>, name: fn(u32) -> Option<&'static str>| {
        let named = value.map(|value| (value, name(value)));
        if let Some((value, None)) = named {
            warnings.add(format_args!("{IMAGE}: {what} {value} is not known"));
        }
        named.and_then(|(_, name)| name).map(str::to_owned)
    };
    Some(InventorySummary {
        image_version: version,
        lsm: name("security module", inventory.lsmtype.filter(|lsm| *lsm != 0), lsm),
        network_lock: name("network lock", inventory.network_lock_method, network_lock),
        dump_uptime_us: inventory.dump_uptime,
        run_id: inventory.dump_criu_run_id.as_deref().map(text),
        tcp_close: inventory.tcp_close == Some(true),
        allow_uprobes: inventory.allow_uprobes == Some(true),
        plugins: inventory.plugins.unwrap_or_default().names.iter().map(|n| text(n)).collect(),
    })
}
