//! Messages of images: decoding with what prost does not check.
//!
//! A required field that is absent would decode as zero, a field that a newer CRIU added would be
//! dropped in silence, and a message of empty parts would be many times larger in memory. So the
//! fields of a message are walked over first.

use prost::Message;

use crate::error::{CriuError, Problem, Result};
use crate::image::{Entries, entries};
use crate::limits::{ENTRIES_MAX, FIELDS_MAX};
use crate::magic::ImageKind;
use crate::warnings::Warnings;

/// Different fields of one message: the largest has 22.
const FIELD_NUMBERS_MAX: usize = 64;

/// A message that stands as an entry of an image.
pub(crate) trait Entry: Message + Default {
    /// Fields that it cannot be without.
    const REQUIRED: &'static [u32];
    /// Fields that CRIU 4.2 knows, used here or not.
    const KNOWN: &'static [u32];
}

/// Decodes one entry; fields that are not known go to the second part.
pub(crate) fn decode<M: Entry>(image: &str, index: usize, bytes: &[u8]) -> Result<(M, Vec<u32>)> {
    let fail = |problem| CriuError::new(image, problem);
    let undecodable =
        |reason: &str| fail(Problem::Undecodable { index, reason: reason.to_owned() });
    let fields = fields(bytes).map_err(undecodable)?;
    if let Some(field) = M::REQUIRED.iter().find(|field| !fields.contains(field)) {
        return Err(fail(Problem::FieldMissing { index, field: *field }));
    }
    let message = M::decode(bytes).map_err(|error| undecodable(&error.to_string()))?;
    let unknown = fields.into_iter().filter(|field| !M::KNOWN.contains(field)).collect();
    Ok((message, unknown))
}

/// All entries of an image.
pub(crate) fn read_all<M: Entry>(
    image: &str,
    bytes: &[u8],
    kind: ImageKind,
    warnings: &mut Warnings,
) -> Result<Vec<M>> {
    let mut messages = Vec::new();
    let mut entries = entries(image, bytes, kind)?;
    while let Some(message) = next(&mut entries, warnings)? {
        if messages.len() >= ENTRIES_MAX {
            return Err(CriuError::new(image, Problem::TooManyEntries { max: ENTRIES_MAX }));
        }
        messages.push(message);
    }
    Ok(messages)
}

/// The entry of an image that has one.
pub(crate) fn read_one<M: Entry>(
    image: &str,
    bytes: &[u8],
    kind: ImageKind,
    warnings: &mut Warnings,
) -> Result<M> {
    let message = next(&mut entries(image, bytes, kind)?, warnings)?;
    message.ok_or_else(|| CriuError::new(image, Problem::Empty))
}

/// The next entry, with a warning for each field that is not known.
pub(crate) fn next<M: Entry>(
    entries: &mut Entries<'_>,
    warnings: &mut Warnings,
) -> Result<Option<M>> {
    let Some(entry) = entries.next() else { return Ok(None) };
    let (index, bytes) = entry?;
    let (message, unknown) = decode(entries.image(), index, bytes)?;
    for field in unknown {
        warnings.add(format_args!("{}: field {field} is not known", entries.image()));
    }
    Ok(Some(message))
}

/// Numbers of the fields of a message, each once.
fn fields(bytes: &[u8]) -> Result<Vec<u32>, &'static str> {
    let mut numbers = Vec::new();
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        count += 1;
        if count > FIELDS_MAX {
            return Err("too many fields");
        }
        let number = step(&mut rest).ok_or("not a protobuf message")?;
        // Neighbours are often alike: the areas of a memory, the words of an address.
        if numbers.last() == Some(&number) || numbers.contains(&number) {
            continue;
        }
        if numbers.len() >= FIELD_NUMBERS_MAX {
            return Err("too many kinds of fields");
        }
        numbers.push(number);
    }
    Ok(numbers)
}

/// Steps over one field and gives its number.
fn step(rest: &mut &[u8]) -> Option<u32> {
    let key = varint(rest)?;
    let length = match key & 7 {
        0 => varint(rest).map(|_| 0)?,
        1 => 8,
        2 => varint(rest)?,
        5 => 4,
        _ => return None,
    };
    let (_, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    u32::try_from(key >> 3).ok().filter(|number| *number > 0)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Text as CRIU has it: bytes of whatever the process chose, cut at a NUL.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
