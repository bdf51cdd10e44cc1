//! `mm-<pid>.img`: the memory areas of a process (criu `images/mm.proto`, `images/vma.proto`).

use serde::Serialize;

use crate::message::Entry;

/// Key of the page size in the auxiliary vector (Linux `AT_PAGESZ`).
const AT_PAGESZ: u64 = 6;

/// The entry of `mm-<pid>.img`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Mm {
    /// Begin of the code.
    #[prost(uint64, tag = "1")]
    pub start_code: u64,
    /// End of the code.
    #[prost(uint64, tag = "2")]
    pub end_code: u64,
    /// An address in the first stack.
    #[prost(uint64, tag = "5")]
    pub start_stack: u64,
    /// Begin of the heap.
    #[prost(uint64, tag = "6")]
    pub start_brk: u64,
    /// End of the heap.
    #[prost(uint64, tag = "7")]
    pub brk: u64,
    /// Id of the executable in `files.img`.
    #[prost(uint32, tag = "12")]
    pub exe_file_id: u32,
    /// What the kernel told the program at its start: keys and values in turn.
    #[prost(uint64, repeated, packed = "false", tag = "13")]
    pub saved_auxv: Vec<u64>,
    /// The areas; empty in images of before CRIU 2, which have `vmas-<pid>.img`.
    #[prost(message, repeated, tag = "14")]
    pub vmas: Vec<Vma>,
}

/// A memory area.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Vma {
    /// First address.
    #[prost(uint64, tag = "1")]
    pub start: u64,
    /// Address after the last.
    #[prost(uint64, tag = "2")]
    pub end: u64,
    /// Where it begins in the file or in the shared memory, in bytes.
    #[prost(uint64, tag = "3")]
    pub pgoff: u64,
    /// Of an area with a file: its id in `files.img`. Of shared memory: the id of the segment.
    #[prost(uint64, tag = "4")]
    pub shmid: u64,
    /// Rights: 1 read, 2 write, 4 execute.
    #[prost(uint32, tag = "5")]
    pub prot: u32,
    /// Flags of mmap(2).
    #[prost(uint32, tag = "6")]
    pub flags: u32,
    /// What it is, in bits (criu `criu/include/image.h`, `VMA_AREA_*`).
    #[prost(uint32, tag = "7")]
    pub status: u32,
    /// Not used; -1.
    #[prost(sint64, tag = "8")]
    pub fd: i64,
}

impl Entry for Mm {
    const REQUIRED: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
}

impl Entry for Vma {
    const REQUIRED: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7];
    const KNOWN: &'static [u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
}

impl Mm {
    /// Bytes of a page on the host that dumped, which no other image tells.
    pub fn page_bytes(&self) -> Option<u64> {
        let mut pairs = self.saved_auxv.chunks_exact(2);
        pairs.find(|pair| pair[0] == AT_PAGESZ).map(|pair| pair[1])
    }

    /// What an area is. CRIU does not mark stacks: the area that has the first stack's address is it.
    pub fn kind(&self, vma: &Vma) -> AreaKind {
        match vma.kind() {
            AreaKind::Anonymous if (vma.start..vma.end).contains(&self.start_stack) => {
                AreaKind::Stack
            }
            kind => kind,
        }
    }
}

/// What an area is (criu `criu/include/image.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AreaKind {
    /// Grown by brk(2).
    Heap,
    /// The first stack. Those of threads are anonymous areas.
    Stack,
    /// Return addresses that the processor checks.
    ShadowStack,
    /// Code of the kernel for processes.
    Vdso,
    /// Data of that code.
    Vvar,
    /// The same in its first form, at a fixed address.
    Vsyscall,
    /// A file; what is written stays in the process.
    File,
    /// A file; what is written goes there.
    SharedFile,
    /// Memory of the process.
    Anonymous,
    /// Memory shared between processes.
    SharedAnonymous,
    /// System V shared memory.
    SysvShared,
    /// A file in memory, from memfd_create(2).
    Memfd,
    /// Packet ring of a socket.
    Socket,
    /// Ring of asynchronous I/O.
    AioRing,
    /// No area of its own: addresses in others that may not be touched.
    Guard,
    /// Made by a user-space probe.
    Uprobes,
    /// Memory of a device; a plugin restores it.
    Plugin,
    /// Not known here.
    Unknown,
}

/// Bits of a status in the order in which they decide the kind: the more particular first.
const KINDS: [(u32, AreaKind); 17] = [
    (1 << 16, AreaKind::Guard),
    (1 << 17, AreaKind::Uprobes),
    (1 << 27, AreaKind::Plugin),
    (1 << 15, AreaKind::ShadowStack),
    (1 << 13, AreaKind::AioRing),
    (1 << 11, AreaKind::Socket),
    (1 << 2, AreaKind::Vsyscall),
    (1 << 3, AreaKind::Vdso),
    (1 << 12, AreaKind::Vvar),
    (1 << 5, AreaKind::Heap),
    (1 << 1, AreaKind::Stack),
    (1 << 10, AreaKind::SysvShared),
    (1 << 14, AreaKind::Memfd),
    (1 << 6, AreaKind::File),
    (1 << 7, AreaKind::SharedFile),
    (1 << 8, AreaKind::SharedAnonymous),
    (1 << 9, AreaKind::Anonymous),
];

/// Bits of a status that have a meaning and decide no kind: an ordinary area, and marks of the
/// restorer.
const OTHER_BITS: u32 = 1 | 1 << 28 | 1 << 29 | 1 << 30;

impl Vma {
    /// What the area is by itself, so that the first stack is an anonymous area; see [`Mm::kind`].
    pub fn kind(&self) -> AreaKind {
        let kind = KINDS.iter().find(|(bit, _)| self.status & bit != 0);
        kind.map_or(AreaKind::Unknown, |(_, kind)| *kind)
    }

    /// Bits of the status without a known meaning.
    pub fn unknown_status(&self) -> u32 {
        self.status & !KINDS.iter().fold(OTHER_BITS, |all, (bit, _)| all | bit)
    }

    /// Id of its file in `files.img`.
    pub fn file_id(&self) -> Option<u32> {
        let kinds = [AreaKind::File, AreaKind::SharedFile, AreaKind::Socket, AreaKind::Plugin];
        kinds.contains(&self.kind()).then(|| u32::try_from(self.shmid).ok()).flatten()
    }

    /// Id of its segment of shared memory: N of `pagemap-shmem-N.img`.
    pub fn segment_id(&self) -> Option<u64> {
        // Not System V memory: its ids are of another kind, its bytes in `ipcns-shm-<id>.img`.
        let kinds = [AreaKind::SharedAnonymous, AreaKind::Memfd];
        (kinds.contains(&self.kind()) && self.shared()).then_some(self.shmid)
    }

    /// True if other processes see what is written (`MAP_SHARED`, `MAP_SHARED_VALIDATE`).
    pub const fn shared(&self) -> bool {
        matches!(self.flags & 0xf, 1 | 3)
    }

    /// Rights as in `/proc/<pid>/maps`, such as `rw-p`.
    pub fn permissions(&self) -> String {
        let right = |bit: u32, letter: char| if self.prot & bit == 0 { '-' } else { letter };
        let share = if self.shared() { 's' } else { 'p' };
        [right(1, 'r'), right(2, 'w'), right(4, 'x'), share].iter().collect()
    }
}
