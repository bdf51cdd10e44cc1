//! Extension headers: what is said about the next entry in records before it (pax, GNU long names).

use crate::error::{ArchiveError, shown};

/// Which pax records are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Only keys that the engines' tar writers are known to use.
    Strict,
    /// Any key that does not change where or how long an entry is: a container's files may carry anything.
    Lenient,
    /// The same, and sparse files as GNU tar writes them: what CRIU makes of a tmpfs.
    Tmpfs,
}

/// What extension headers said about the next entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    /// Seconds since 1970.
    pub(crate) mtime: Option<u64>,
}

const KNOWN: [&[u8]; 10] = [
    b"path",
    b"linkpath",
    b"size",
    b"mtime",
    b"atime",
    b"ctime",
    b"uid",
    b"gid",
    b"uname",
    b"gname",
];

impl Extensions {
    /// Takes a name from a GNU `L` or `K` header: the name, and a NUL.
    pub(crate) fn long_name(data: &[u8], offset: u64) -> Result<Vec<u8>, ArchiveError> {
        let bad = |why| ArchiveError::BadExtension { offset, why };
        let name = data.strip_suffix(b"\0").unwrap_or(data);
        if name.is_empty() {
            return Err(bad("the long name is empty"));
        }
        if name.contains(&0) {
            return Err(bad("the long name goes on after its end"));
        }
        Ok(name.to_vec())
    }

    /// Reads the records of a pax `x` header: `LENGTH KEY=VALUE\n`, LENGTH in bytes with itself (POSIX.1-2001).
    pub(crate) fn pax(data: &[u8], offset: u64, rules: Rules) -> Result<Self, ArchiveError> {
        let bad = |why| ArchiveError::BadExtension { offset, why };
        let mut found = Self::default();
        let mut seen = Vec::new();
        for record in (Records { rest: data, offset }) {
            let (key, value) = record?;
            if seen.contains(&key) {
                return Err(bad("a pax key is there twice"));
            }
            seen.push(key);
            if seen.len() > RECORDS_MAX {
                return Err(bad("too many pax records"));
            }
            if !accepted(key, rules) {
                return Err(ArchiveError::PaxKey { offset, key: shown(key) });
            }
            found.set(key, value).map_err(bad)?;
        }
        Ok(found)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.link = Some(name(value)?),
            b"size" => self.size = Some(decimal(value).ok_or("a pax size is not a number")?),
            b"mtime" => self.mtime = seconds(value)?,
            b"atime" | b"ctime" => seconds(value).map(drop)?,
            // Go gives up an archive in which they are none.
            b"uid" | b"gid" => drop(decimal(value).ok_or("a pax uid or gid is not a number")?),
            _ => {}
        }
        Ok(())
    }
}

/// Enough for any file's extended attributes, and few enough to look for a key among them.
const RECORDS_MAX: usize = 1000;

fn accepted(key: &[u8], rules: Rules) -> bool {
    if KNOWN.contains(&key) || key == b"comment" {
        return true;
    }
    // CRIU's images and the engine's files have no attributes that a restore needs.
    rules != Rules::Strict
        && !key.starts_with(b"GNU.sparse.")
        && key != b"hdrcharset"
        && !is_overlay_attribute(key)
}

/// Attributes of overlayfs make one folder show another of the host. Engines turn them into whiteouts and never
/// put them into a tar. All others are a container's own, capabilities of its programs too: set-uid bits are no less.
fn is_overlay_attribute(key: &[u8]) -> bool {
    let families: [&[u8]; 2] = [b"SCHILY.xattr.", b"LIBARCHIVE.xattr."];
    let name = families.iter().find_map(|family| key.strip_prefix(*family));
    name.is_some_and(|name| {
        name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
    })
}

/// A name must not be empty: POSIX then takes back the record, Go the name.
fn name(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    match value {
        [] => Err("a pax name is empty"),
        _ if value.contains(&0) => Err("a pax name has a NUL in it"),
        _ => Ok(value.to_vec()),
    }
}

/// Whole seconds of a pax time, which may have a fraction. Times before 1970 are none.
fn seconds(value: &[u8]) -> Result<Option<u64>, &'static str> {
    let bad = "a pax time is not a number";
    let (negative, value) = match value {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, value),
    };
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let whole = parts.next().and_then(decimal).ok_or(bad)?;
    if !parts.next().unwrap_or(b"").iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    Ok((!negative).then_some(whole))
}

fn decimal(value: &[u8]) -> Option<u64> {
    // `parse` would take a sign. Go's numbers are of 63 bits.
    let all_digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| all_digits)?.parse::<i64>().ok()?;
    u64::try_from(number).ok()
}

/// Checks a global pax header: only comments, which change nothing.
pub(crate) fn check_global(data: &[u8], offset: u64) -> Result<(), ArchiveError> {
    for record in (Records { rest: data, offset }) {
        let (key, _) = record?;
        if key != b"comment" {
            return Err(ArchiveError::GlobalPax { offset, key: shown(key) });
        }
    }
    Ok(())
}

/// Extension headers read so far for the next entry.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) found: Extensions,
    /// Types that were there.
    flags: Vec<u8>,
}

impl Pending {
    pub(crate) fn count(&mut self, flag: u8, offset: u64) -> Result<(), ArchiveError> {
        // Go hands a global header to its caller, and what was said about the next entry is lost.
        if flag == b'g' && self.flags.iter().any(|&flag| flag != b'g') {
            let why = "a global header stands between an entry and its extension header";
            return Err(ArchiveError::BadExtension { offset, why });
        }
        if self.flags.contains(&flag) {
            let why = "an entry has two of its kind";
            return Err(ArchiveError::BadExtension { offset, why });
        }
        self.flags.push(flag);
        Ok(())
    }

    pub(crate) fn merge(&mut self, new: Extensions) -> Result<(), &'static str> {
        let old = &mut self.found;
        if (old.path.is_some() && new.path.is_some()) || (old.link.is_some() && new.link.is_some())
        {
            return Err("an entry has two long names");
        }
        old.path = old.path.take().or(new.path);
        old.link = old.link.take().or(new.link);
        old.size = old.size.or(new.size);
        old.mtime = old.mtime.or(new.mtime);
        Ok(())
    }
}

struct Records<'d> {
    rest: &'d [u8],
    offset: u64,
}

impl<'d> Iterator for Records<'d> {
    type Item = Result<(&'d [u8], &'d [u8]), ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = split_record(self.rest);
        self.rest = record.map_or(&[], |(_, _, rest)| rest);
        let bad = ArchiveError::BadExtension { offset: self.offset, why: "bad pax record" };
        Some(record.map(|(key, value, _)| (key, value)).ok_or(bad))
    }
}

/// Key, value and what follows.
fn split_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|&byte| byte == b' ')?;
    let length = decimal(data.get(..space)?).and_then(|length| usize::try_from(length).ok())?;
    let (record, rest) = data.split_at_checked(length)?;
    let body = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    let (key, value) = body.split_at_checked(equals)?;
    (!key.is_empty()).then_some((key, value.get(1..)?, rest))
}
