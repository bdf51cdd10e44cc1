//! The least of CRIU's images that describe processes and their memory, encoded by hand.
//!
//! Layout and field numbers: CRIU 4.2, `images/*.proto` and `criu/include/magic.h`. Each image is the common magic,
//! its own magic, then messages with a 32-bit length before each; `inventory.img` lacks the common magic, and
//! `pages-*.img` is only pages.

use crate::tarball::{PAGE_BYTES, Process};

const COMMON_MAGIC: u32 = 0x5456_4319;
const INVENTORY_MAGIC: u32 = 0x5831_3116;
const PSTREE_MAGIC: u32 = 0x5027_3030;
const CORE_MAGIC: u32 = 0x5505_3847;
const MM_MAGIC: u32 = 0x5749_2820;
const PAGEMAP_MAGIC: u32 = 0x5608_4025;

/// Pages that are in the image and may be restored lazily: what an ordinary dump writes for private memory.
const LAZY_AND_PRESENT: u64 = 6;
const MTYPE_X86_64: u64 = 1;
const TASK_ALIVE: u64 = 1;
const IMAGE_VERSION: u64 = 2;

/// A protobuf message, field by field.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A number (wire type 0).
    #[must_use]
    pub fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    /// A string, bytes or embedded message (wire type 2).
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(value);
        self
    }

    /// An embedded message.
    #[must_use]
    pub fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

/// `inventory.img`.
#[must_use]
pub fn inventory() -> Vec<u8> {
    let ids = Message::new().number(1, 1).number(2, 2).number(3, 1).number(4, 1);
    let entry = Message::new().number(1, IMAGE_VERSION).number(2, 1).message(3, &ids);
    image(&[INVENTORY_MAGIC], &[entry])
}

/// `pstree.img`: the first process is the parent of the others.
#[must_use]
pub fn pstree(processes: &[Process]) -> Vec<u8> {
    let root = processes.first().map_or(1, |process| process.pid);
    let entry = |process: &Process| {
        let parent = if process.pid == root { 0 } else { root };
        let ids = [process.pid, parent, root, root, process.pid];
        let numbered = (1_u32..).zip(ids);
        numbered.fold(Message::new(), |message, (field, id)| message.number(field, u64::from(id)))
    };
    image(&[COMMON_MAGIC, PSTREE_MAGIC], &processes.iter().map(entry).collect::<Vec<_>>())
}

/// `core-<pid>.img` of an x86-64 task with this command name.
#[must_use]
pub fn core(command: &str) -> Vec<u8> {
    let task = Message::new()
        .number(1, TASK_ALIVE)
        .number(2, 0)
        .number(3, 0)
        .number(4, 0)
        .number(5, 0)
        .bytes(6, command.as_bytes());
    let entry = Message::new().number(1, MTYPE_X86_64).message(3, &task);
    image(&[COMMON_MAGIC, CORE_MAGIC], &[entry])
}

/// `mm-<pid>.img`: one private anonymous mapping for each run of pages.
#[must_use]
pub fn mm(process: &Process) -> Vec<u8> {
    // Twelve addresses of code, data, heap, stack and arguments, then the link to the executable.
    let mut entry = (1..=12).fold(Message::new(), |message, field| message.number(field, 0));
    entry = entry.number(12, 1);
    for (vaddr, pages) in &process.runs {
        let end = vaddr + u64::try_from(pages.len()).unwrap_or(0);
        let area = Message::new()
            .number(1, *vaddr)
            .number(2, end)
            .number(3, 0)
            .number(4, 0)
            .number(5, 3)
            .number(6, 0x22)
            .number(7, 0x201)
            .number(8, u64::MAX);
        entry = entry.message(14, &area);
    }
    image(&[COMMON_MAGIC, MM_MAGIC], &[entry])
}

/// `pagemap-<pid>.img`, whose pages are in `pages-<pages_id>.img`.
#[must_use]
pub fn pagemap(pages_id: u32, process: &Process) -> Vec<u8> {
    pagemap_flagged(pages_id, process, LAZY_AND_PRESENT)
}

/// The same with other flags: where the bytes are.
#[must_use]
pub fn pagemap_flagged(pages_id: u32, process: &Process, flags: u64) -> Vec<u8> {
    let mut messages = vec![Message::new().number(1, u64::from(pages_id))];
    messages.extend(process.runs.iter().map(|(vaddr, pages)| {
        let count = u64::try_from(pages.len() / PAGE_BYTES).unwrap_or(0);
        // Since CRIU 4.2 the count is in field 5, and the older field 2 is there with 0.
        let entry = Message::new().number(1, *vaddr).number(2, 0);
        entry.number(4, flags).number(5, count)
    }));
    image(&[COMMON_MAGIC, PAGEMAP_MAGIC], &messages)
}

/// `pages-<id>.img`: the pages of all runs, one after another.
#[must_use]
pub fn pages(process: &Process) -> Vec<u8> {
    process.runs.iter().flat_map(|(_, pages)| pages.iter().copied()).collect()
}

fn image(magics: &[u32], messages: &[Message]) -> Vec<u8> {
    let mut bytes: Vec<u8> = magics.iter().flat_map(|magic| magic.to_le_bytes()).collect();
    for Message(message) in messages {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(message);
    }
    bytes
}
