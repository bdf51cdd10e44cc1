//! Images written by hand, field by field, so that they do not depend on the code under test.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of tests")]

const COMMON: u32 = 0x5456_4319;
pub(crate) const PAGEMAP: u32 = 0x5608_4025;
pub(crate) const INVENTORY: u32 = 0x5831_3116;
pub(crate) const PSTREE: u32 = 0x5027_3030;
pub(crate) const CORE: u32 = 0x5505_3847;
pub(crate) const IDS: u32 = 0x5443_2030;
pub(crate) const MM: u32 = 0x5749_2820;
pub(crate) const VMAS: u32 = 0x5412_3737;
pub(crate) const CREDS: u32 = 0x5402_3547;
pub(crate) const FDINFO: u32 = 0x5621_3732;
pub(crate) const FILES: u32 = 0x5630_3138;
pub(crate) const REG_FILES: u32 = 0x5036_3636;
pub(crate) const INETSK: u32 = 0x5644_3851;
pub(crate) const PIPES_DATA: u32 = 0x5645_3709;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A message of numbers.
pub(crate) fn numbers(fields: &[(u32, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, value) in fields {
        varint(u64::from(*number) << 3, &mut out);
        varint(*value, &mut out);
    }
    out
}

/// A field with a length: text, bytes or a message.
pub(crate) fn bytes(number: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(u64::from(number) << 3 | 2, &mut out);
    varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

/// An image of version 1.1.
pub(crate) fn image(magic: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    [COMMON.to_le_bytes().to_vec(), old_image(magic, entries)].concat()
}

/// An image of version 1.0: without the common magic.
pub(crate) fn old_image(magic: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = magic.to_le_bytes().to_vec();
    for entry in entries {
        out.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        out.extend_from_slice(entry);
    }
    out
}

/// A pagemap with a head and these runs.
pub(crate) fn pagemap(pages_id: u64, runs: &[&[(u32, u64)]]) -> Vec<u8> {
    let head = numbers(&[(1, pages_id)]);
    let entries: Vec<_> =
        std::iter::once(head).chain(runs.iter().map(|run| numbers(run))).collect();
    image(PAGEMAP, &entries)
}
