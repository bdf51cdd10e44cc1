//! The entries of a tar, each with what its extension headers say, before any rule about names and types.

use crate::entry::Entry;
use crate::error::{ArchiveError, shown};
use crate::extension::{Extensions, Pending, Rules, check_global};
use crate::header::{BLOCK, BLOCK_BYTES, Block, OCTAL_SIZE_MAX};
use crate::limits::Limits;
use crate::source::{Source, read_full};

/// Walks a tar from its first byte to the end of the stream.
#[derive(Debug)]
pub(crate) struct Entries<S> {
    source: S,
    limits: Limits,
    rules: Rules,
    offset: u64,
    entries: u64,
    /// Data of the current entry that was not read yet.
    remaining: u64,
    padding: u64,
    name: String,
    /// Where the end marker begins, once it was seen.
    end_offset: Option<u64>,
}

impl<S: Source> Entries<S> {
    pub(crate) fn new(source: S, limits: Limits, rules: Rules) -> Self {
        let name = String::new();
        Self {
            source,
            limits,
            rules,
            offset: 0,
            entries: 0,
            remaining: 0,
            padding: 0,
            name,
            end_offset: None,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn count(&self) -> u64 {
        self.entries
    }

    pub(crate) fn end_offset(&self) -> Option<u64> {
        self.end_offset
    }

    /// The next entry; `None` when the whole stream, tail included, was consumed.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        if self.end_offset.is_some() {
            return Ok(None);
        }
        self.finish_entry()?;
        let header_offset = self.offset;
        let mut extensions = Pending::default();
        loop {
            let at = self.offset;
            let Some(block) = self.read_block(at)? else {
                return self.end(at, header_offset);
            };
            match block.flag {
                b'x' | b'g' | b'L' | b'K' => self.extend(&mut extensions, &block, at)?,
                _ => return self.start(block, extensions, header_offset).map(Some),
            }
        }
    }

    /// Bytes of the current entry; 0 at its end.
    pub(crate) fn read_data(&mut self, buf: &mut [u8]) -> Result<usize, ArchiveError> {
        let room = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..room).unwrap_or_default();
        if part.is_empty() {
            return Ok(0);
        }
        let read = loop {
            match self.source.read(part) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if read == 0 {
            return Err(ArchiveError::TruncatedData { name: self.name.clone() });
        }
        let read_bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.remaining = self.remaining.saturating_sub(read_bytes);
        self.offset = self.offset.saturating_add(read_bytes);
        Ok(read)
    }

    /// Passes over what is left of the current entry, and its padding.
    fn finish_entry(&mut self) -> Result<(), ArchiveError> {
        let left = std::mem::take(&mut self.remaining);
        if left > 0 {
            self.source.skip(left).map_err(|error| {
                eof(error, || ArchiveError::TruncatedData { name: self.name.clone() })
            })?;
            self.offset = self.offset.saturating_add(left);
        }
        let mut buffer = [0; BLOCK_BYTES];
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        let padding = buffer.get_mut(..padding).unwrap_or_default();
        let read = read_full(&mut self.source, padding)?;
        if read < padding.len() {
            return Err(ArchiveError::TruncatedPadding { name: self.name.clone() });
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Err(ArchiveError::DirtyPadding { name: self.name.clone() });
        }
        self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(())
    }

    /// A header block; `None` if it is all zeros.
    fn read_block(&mut self, at: u64) -> Result<Option<Block>, ArchiveError> {
        let mut bytes = [0; BLOCK_BYTES];
        match read_full(&mut self.source, &mut bytes)? {
            BLOCK_BYTES => {}
            0 => return Err(ArchiveError::NoEndMarker),
            _ => return Err(ArchiveError::TruncatedHeader { offset: at }),
        }
        self.offset = self.offset.saturating_add(BLOCK);
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        Block::parse(&bytes, at).map(Some)
    }

    fn extend(
        &mut self,
        pending: &mut Pending,
        block: &Block,
        at: u64,
    ) -> Result<(), ArchiveError> {
        pending.count(block.flag, at)?;
        let data = self.extension_data(block.size, at)?;
        let bad = |why| ArchiveError::BadExtension { offset: at, why };
        let found = match block.flag {
            b'x' => Extensions::pax(&data, at, self.rules)?,
            b'g' if self.rules == Rules::Strict => return Err(bad("global headers are refused")),
            b'g' => return check_global(&data, at),
            b'L' => Extensions {
                path: Some(Extensions::long_name(&data, at)?),
                ..Extensions::default()
            },
            _ if self.rules == Rules::Strict => return Err(bad("long link names are refused")),
            _ => Extensions {
                link: Some(Extensions::long_name(&data, at)?),
                ..Extensions::default()
            },
        };
        pending.merge(found).map_err(bad)
    }

    fn extension_data(&mut self, size: u64, at: u64) -> Result<Vec<u8>, ArchiveError> {
        let max = self.limits.max_extension_bytes;
        if size > max {
            return Err(ArchiveError::ExtensionTooLarge { offset: at, max });
        }
        self.name = format!("the extension header at byte {at}");
        self.check_bytes(size)?;
        self.remaining = size;
        self.padding = padding_of(size);
        let data = self.read_rest(max)?;
        self.finish_entry()?;
        Ok(data)
    }

    /// All that is left of the current entry.
    pub(crate) fn read_rest(&mut self, max: u64) -> Result<Vec<u8>, ArchiveError> {
        let too_large = || ArchiveError::MemberTooLarge { name: self.name.clone(), max };
        if self.remaining > max {
            return Err(too_large());
        }
        let size = usize::try_from(self.remaining).map_err(|_| too_large())?;
        // Grows with what arrives, not with what a header claims.
        let mut data = Vec::with_capacity(size.min(1 << 16));
        let mut buffer = [0; 1 << 13];
        loop {
            match self.read_data(&mut buffer)? {
                0 => return Ok(data),
                read => data.extend_from_slice(buffer.get(..read).unwrap_or(&[])),
            }
        }
    }

    fn start(
        &mut self,
        block: Block,
        pending: Pending,
        header_offset: u64,
    ) -> Result<Entry, ArchiveError> {
        let Pending { found, .. } = pending;
        let path = found.path.unwrap_or(block.path);
        self.name = shown(&path);
        self.entries = self.entries.saturating_add(1);
        if self.entries > self.limits.max_entries {
            return Err(ArchiveError::TooManyEntries { max: self.limits.max_entries });
        }
        let size = agreed_size(&self.name, block.size, found.size)?;
        // Elsewhere sparse files are refused, and their maps with them.
        if block.flag == b'S' && self.rules == Rules::Tmpfs {
            let map = block.sparse.unwrap_or_default();
            let max = self.limits.max_extension_bytes;
            let read = map.check(&mut self.source, size, max)?;
            let bad = || ArchiveError::SparseMap { name: self.name.clone() };
            self.offset = self.offset.saturating_add(read.ok_or_else(bad)?);
        }
        self.check_bytes(size)?;
        self.remaining = size;
        self.padding = padding_of(size);
        let entry = Entry {
            flag: block.flag,
            path,
            link: found.link.unwrap_or(block.link),
            size,
            mode: block.mode,
            mtime: found.mtime.or(block.mtime),
            device: block.device,
            header_offset,
            data_offset: self.offset,
        };
        if !entry.mode_fits() {
            let why = "its mode is that of another type";
            return Err(ArchiveError::AmbiguousHeader { name: self.name.clone(), why });
        }
        Ok(entry)
    }

    /// Whether an entry of this size, from here, stays within the limit.
    fn check_bytes(&self, size: u64) -> Result<(), ArchiveError> {
        let max = self.limits.max_bytes;
        let end = size.checked_next_multiple_of(BLOCK).and_then(|s| s.checked_add(self.offset));
        match end {
            Some(end) if end <= max => Ok(()),
            _ => Err(ArchiveError::TooManyBytes { name: self.name.clone(), max }),
        }
    }

    /// The end marker is two zero blocks; more zeros may follow, and nothing else.
    fn end(&mut self, at: u64, header_offset: u64) -> Result<Option<Entry>, ArchiveError> {
        if at != header_offset {
            return Err(ArchiveError::DanglingExtension { offset: header_offset });
        }
        let max = self.limits.max_tail_bytes;
        let mut buffer = [0; 1 << 13];
        loop {
            let read = read_full(&mut self.source, &mut buffer)?;
            let part = buffer.get(..read).unwrap_or(&[]);
            if let Some(dirty) = part.iter().position(|&byte| byte != 0) {
                let offset = self.offset.saturating_add(u64::try_from(dirty).unwrap_or(0));
                return Err(ArchiveError::TrailingData { offset });
            }
            self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(0));
            let tail = self.offset.saturating_sub(at);
            match read {
                0 if tail < 2 * BLOCK => return Err(ArchiveError::NoEndMarker),
                0 => break,
                _ if tail > max => return Err(ArchiveError::TailTooLong { max }),
                _ => {}
            }
        }
        self.end_offset = Some(at);
        Ok(None)
    }
}

/// Go's archive/tar, which all engines use, writes a size that does not fit as a pax record and 0 in the header.
fn agreed_size(name: &str, header: u64, pax: Option<u64>) -> Result<u64, ArchiveError> {
    match pax {
        None => Ok(header),
        Some(pax) if pax == header => Ok(pax),
        Some(pax) if header == 0 && pax > OCTAL_SIZE_MAX => Ok(pax),
        Some(pax) => Err(ArchiveError::PaxSize { name: name.to_owned(), pax, header }),
    }
}

fn padding_of(size: u64) -> u64 {
    match size % BLOCK {
        0 => 0,
        over => BLOCK.saturating_sub(over),
    }
}

fn eof(error: std::io::Error, truncated: impl FnOnce() -> ArchiveError) -> ArchiveError {
    match ArchiveError::from(error) {
        ArchiveError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => truncated(),
        other => other,
    }
}
