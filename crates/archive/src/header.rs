//! One 512-byte header block. Readers disagree about odd ones (which name, which size); those are refused.

use tar::Header;

use crate::error::{ArchiveError, shown};
use crate::number;
use crate::sparse::Map;

pub(crate) const BLOCK_BYTES: usize = 512;
/// The same, for arithmetic on offsets.
pub(crate) const BLOCK: u64 = 512;
/// What octal digits of the size field can hold; larger sizes are in a pax record or base-256.
pub(crate) const OCTAL_SIZE_MAX: u64 = 0o77_777_777_777;

/// A checked block, whose fields have one meaning.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) flag: u8,
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    /// Seconds since 1970.
    pub(crate) mtime: Option<u64>,
    /// Major and minor number.
    pub(crate) device: (u64, u64),
    /// Of a sparse file.
    pub(crate) sparse: Option<Map>,
}

impl Block {
    /// Reads a block that is not all zeros. `offset` is where it begins.
    pub(crate) fn parse(bytes: &[u8; BLOCK_BYTES], offset: u64) -> Result<Self, ArchiveError> {
        let header = Header::from_byte_slice(bytes);
        let known = header.as_ustar().is_some() || header.as_gnu().is_some();
        if !checksum_is_right(bytes) {
            let never_a_tar = offset == 0 && !known;
            return Err(match never_a_tar {
                true => ArchiveError::NotATar,
                false => ArchiveError::BadChecksum { offset },
            });
        }
        if !known {
            return Err(ArchiveError::NotATar);
        }
        let path = header.path_bytes().into_owned();
        check_unused(header, bytes, &path)?;
        let old = header.as_old();
        let bad = |field| ArchiveError::BadField { name: shown(&path), field };
        let size = number::field(&old.size).map_err(|_| bad("size"))?;
        let mode = number::field(&old.mode).ok().and_then(|mode| u32::try_from(mode).ok());
        let mode = mode.ok_or_else(|| bad("mode"))?;
        let link = header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        check_ignored(header).map_err(bad)?;
        let [flag] = old.linkflag;
        let mtime = time(&old.mtime).map_err(|_| bad("modification time"))?;
        let device = device(header).map_err(|_| bad("device number"))?;
        let sparse = (flag == b'S' && header.as_gnu().is_some()).then(|| Map::begin(bytes));
        Ok(Self { flag, link, size, mode, mtime, device, sparse, path })
    }
}

/// The sum of all bytes, those of the sum itself taken as spaces. Go also takes signed sums; nothing writes them today.
fn checksum_is_right(bytes: &[u8; BLOCK_BYTES]) -> bool {
    let sum = |part: &[u8]| part.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let field = Header::from_byte_slice(bytes).as_old().cksum;
    let spaces = sum(&[b' '; 8]);
    let expected = sum(bytes).saturating_sub(sum(&field)).saturating_add(spaces);
    number::field(&field) == Ok(expected)
}

/// Fields that nothing here needs. Go reads them all, and gives up an archive of which one is not a number.
fn check_ignored(header: &Header) -> Result<(), &'static str> {
    let old = header.as_old();
    number::field(&old.uid).map_err(|_| "user id")?;
    number::field(&old.gid).map_err(|_| "group id")?;
    Ok(())
}

/// A time; none if it is before 1970, which only GNU's negative numbers can say.
fn time(field: &[u8]) -> Result<Option<u64>, number::NotANumber> {
    match field.first() {
        Some(0xff) => Ok(None),
        _ => number::field(field).map(Some),
    }
}

/// Bytes that one dialect of tar leaves unused hold a name or a size in another.
fn check_unused(
    header: &Header,
    bytes: &[u8; BLOCK_BYTES],
    path: &[u8],
) -> Result<(), ArchiveError> {
    let ambiguous = |why| Err(ArchiveError::AmbiguousHeader { name: shown(path), why });
    let part = |range| bytes.get::<std::ops::Range<usize>>(range).unwrap_or(&[]);
    let is_zero = |range| part(range).iter().all(|&b| b == 0);
    if header.as_ustar().is_some() {
        // The star dialect marks itself here, and its prefix is shorter.
        return if is_zero(500..512) { Ok(()) } else { ambiguous("it is not quite ustar") };
    }
    // Access and change time of GNU tar; what is not a number there is a ustar prefix to Go.
    let times = [345..357, 357..369].into_iter().all(|time| number::field(part(time)).is_ok());
    let [flag] = header.as_old().linkflag;
    let unused = match flag {
        b'S' => is_zero(369..386) && is_zero(495..512),
        _ => is_zero(369..512),
    };
    match times && unused {
        true => Ok(()),
        false => ambiguous("it is not quite a GNU header"),
    }
}

fn device(header: &Header) -> Result<(u64, u64), number::NotANumber> {
    let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
        (Some(ustar), _) => (&ustar.dev_major, &ustar.dev_minor),
        (_, Some(gnu)) => (&gnu.dev_major, &gnu.dev_minor),
        _ => return Ok((0, 0)),
    };
    Ok((number::field(major)?, number::field(minor)?))
}
