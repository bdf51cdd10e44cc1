//! Magic numbers (criu `criu/include/magic.h`).

/// First word of an image since version 1.1; the magic of its kind follows.
pub(crate) const COMMON: u32 = 0x5456_4319;
/// First word of service files such as `stats-dump`.
pub(crate) const SERVICE: u32 = 0x5510_5940;

/// The images that this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// `inventory.img`.
    Inventory,
    /// `pstree.img`.
    Pstree,
    /// `core-<tid>.img`.
    Core,
    /// `ids-<pid>.img`.
    Ids,
    /// `mm-<pid>.img`.
    Mm,
    /// `vmas-<pid>.img`, of old images.
    Vmas,
    /// `creds-<pid>.img`, of old images.
    Creds,
    /// `pagemap-<pid>.img` and `pagemap-shmem-<id>.img`.
    Pagemap,
    /// `fdinfo-<files id>.img`.
    Fdinfo,
    /// `files.img`.
    Files,
    /// `reg-files.img`, of old images.
    RegFiles,
    /// `inetsk.img`, of old images.
    InetSockets,
    /// `unixsk.img`, of old images.
    UnixSockets,
    /// `pipes.img`, of old images.
    Pipes,
    /// `pipes-data.img`.
    PipesData,
    /// `fifo-data.img`.
    FifoData,
}

impl ImageKind {
    /// The magic number.
    pub const fn magic(self) -> u32 {
        match self {
            Self::Inventory => 0x5831_3116,
            Self::Pstree => 0x5027_3030,
            Self::Core => 0x5505_3847,
            Self::Ids => 0x5443_2030,
            Self::Mm => 0x5749_2820,
            Self::Vmas => 0x5412_3737,
            Self::Creds => 0x5402_3547,
            Self::Pagemap => 0x5608_4025,
            Self::Fdinfo => 0x5621_3732,
            Self::Files => 0x5630_3138,
            Self::RegFiles => 0x5036_3636,
            Self::InetSockets => 0x5644_3851,
            Self::UnixSockets => 0x5437_3943,
            Self::Pipes => 0x5651_3555,
            Self::PipesData => 0x5645_3709,
            Self::FifoData => 0x5933_3054,
        }
    }

    /// Name of the kind, as file names begin.
    pub fn name(self) -> &'static str {
        name_of(self.magic()).unwrap_or("unknown")
    }
}

/// Every kind of image with a magic, by the beginning of its file name.
const KINDS: [(u32, &str); 68] = [
    (0x5831_3116, "inventory"),
    (0x5027_3030, "pstree"),
    (0x5621_3732, "fdinfo"),
    (0x5608_4025, "pagemap"),
    (0x5505_3847, "core"),
    (0x5443_2030, "ids"),
    (0x5412_3737, "vmas"),
    (0x5651_3555, "pipes"),
    (0x5645_3709, "pipes-data"),
    (0x5836_4939, "fifo"),
    (0x5933_3054, "fifo-data"),
    (0x5534_4201, "sigacts"),
    (0x5437_3943, "unixsk"),
    (0x5644_3851, "inetsk"),
    (0x6045_4618, "packetsk"),
    (0x5746_4056, "itimers"),
    (0x5260_3957, "posix-timers"),
    (0x5626_4026, "sk-queues"),
    (0x5447_3203, "utsns"),
    (0x5402_3547, "creds"),
    (0x5311_5007, "ipcns-var"),
    (0x4628_3044, "ipcns-shm"),
    (0x5545_3737, "ipcns-msg"),
    (0x5957_3019, "ipcns-sem"),
    (0x5036_3636, "reg-files"),
    (0x5925_5641, "ext-files"),
    (0x5140_3912, "fs"),
    (0x5749_2820, "mm"),
    (0x5913_3954, "remap-fpath"),
    (0x5258_3605, "ghost-file"),
    (0x5146_5506, "tcp-stream"),
    (0x4452_3722, "eventfd"),
    (0x4502_3858, "eventpoll"),
    (0x4443_3746, "eventpoll-tfd"),
    (0x5732_3820, "signalfd"),
    (0x4842_4431, "inotify"),
    (0x5456_2009, "inotify-wd"),
    (0x5556_3928, "mountpoints"),
    (0x5737_3951, "netdev"),
    (0x5593_3752, "netns"),
    (0x5943_3025, "tty"),
    (0x5945_3036, "tty-info"),
    (0x5941_3026, "tty-data"),
    (0x5432_3616, "filelocks"),
    (0x5711_3925, "rlimit"),
    (0x5509_6122, "fanotify"),
    (0x5650_6035, "fanotify-mark"),
    (0x5925_5647, "signal"),
    (0x5800_5614, "netlinksk"),
    (0x6139_4011, "ns-files"),
    (0x5714_3751, "tunfile"),
    (0x5938_3330, "cgroup"),
    (0x5049_3712, "timerfd"),
    (0x6140_4013, "cpuinfo"),
    (0x5547_4906, "userns"),
    (0x6441_3049, "seccomp"),
    (0x6734_3323, "binfmt-misc"),
    (0x4935_3943, "autofs"),
    (0x5630_3138, "files"),
    (0x4845_3499, "memfd"),
    (0x4311_4433, "timens"),
    (0x6115_7326, "pidns"),
    (0x5750_6142, "bpfmap-file"),
    (0x6432_4033, "bpfmap-data"),
    (0x5942_3047, "apparmor"),
    (0x5443_5556, "pidfd"),
    (0x5709_3306, "stats"),
    (0x5700_4059, "irmap-cache"),
];

/// Images without a magic: bare pages, or what another program wrote
/// (`RAW_IMAGE_MAGIC` in criu `criu/include/magic.h`, names in `criu/image-desc.c`).
const RAW_PREFIXES: [&str; 11] = [
    "pages-",
    "tmpfs-",
    "ifaddr-",
    "route-",
    "route6-",
    "rule-",
    "iptables-",
    "ip6tables-",
    "nftables-",
    "netns-ct-",
    "netns-exp-",
];

fn name_of(magic: u32) -> Option<&'static str> {
    KINDS.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

/// True if images of this name have no magic.
pub(crate) fn is_raw(image: &str) -> bool {
    RAW_PREFIXES.iter().any(|prefix| image.starts_with(prefix))
}

/// The magic of an image's kind, and the bytes after it. Version 1.1 images have a common word in
/// front, older ones and the inventory do not.
pub(crate) fn split(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match word(bytes)? {
        (COMMON | SERVICE, rest) => word(rest),
        found => Some(found),
    }
}

/// A little-endian word. CRIU writes words as the host has them; a big-endian host (s390x) is the
/// one case that reads as an unknown magic, and is reported as that.
fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*word), rest))
}

/// What an image is by its magic: the beginning of its usual file name, such as `pagemap`.
pub fn identify(bytes: &[u8]) -> Option<&'static str> {
    split(bytes).and_then(|(magic, _)| name_of(magic))
}
