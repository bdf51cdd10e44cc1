//! Tars written field by field, also wrong ones.

use tar::Header;

/// Modification time of all entries, in seconds since 1970: 2026-11-23T09:20:33Z.
pub const MTIME: u64 = 1_795_425_633;

const BLOCK_BYTES: usize = 512;

/// Writes a tar entry by entry, and believes whatever it is told.
#[derive(Clone, Debug, Default)]
pub struct TarWriter {
    bytes: Vec<u8>,
}

impl TarWriter {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A regular file, mode 0600.
    #[must_use]
    pub fn file(self, path: &str, data: &[u8]) -> Self {
        self.entry(b'0', path.as_bytes(), data)
    }

    /// A directory, mode 0700.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.with(b'5', path.as_bytes(), b"", |header| header.set_mode(0o700))
    }

    /// An entry of any type.
    #[must_use]
    pub fn entry(self, flag: u8, path: &[u8], data: &[u8]) -> Self {
        self.with(flag, path, data, |_| {})
    }

    /// A link of type `flag` (`1` hard, `2` symbolic).
    #[must_use]
    pub fn link(self, flag: u8, path: &str, target: &str) -> Self {
        self.with(flag, path.as_bytes(), b"", |header| {
            put(&mut header.as_old_mut().linkname, target.as_bytes());
        })
    }

    /// An entry whose header is changed before its checksum is made.
    #[must_use]
    pub fn with(
        mut self,
        flag: u8,
        path: &[u8],
        data: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_ustar();
        put(&mut header.as_old_mut().name, path);
        header.as_old_mut().linkflag = [flag];
        header.set_mode(0o600);
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(u64::try_from(data.len()).unwrap_or(u64::MAX));
        change(&mut header);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.data(data)
    }

    /// A pax header for the next entry.
    #[must_use]
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.entry(b'x', b"PaxHeaders/next", &pax_records(records))
    }

    /// Data, padded to whole blocks.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Self {
        self.bytes.extend_from_slice(data);
        let whole = self.bytes.len().next_multiple_of(BLOCK_BYTES);
        self.bytes.resize(whole, 0);
        self
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The tar with its end marker, two blocks of zeros, as Go writes it.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK_BYTES, 0);
        self.bytes
    }

    /// The tar without an end marker.
    #[must_use]
    pub fn unfinished(self) -> Vec<u8> {
        self.bytes
    }
}

/// Pax records: `LENGTH KEY=VALUE\n`, where LENGTH counts itself too.
#[must_use]
pub fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes
}

/// Copies as much as fits; the rest of the field is zero.
pub(crate) fn put(field: &mut [u8], value: &[u8]) {
    field.fill(0);
    for (to, from) in field.iter_mut().zip(value) {
        *to = *from;
    }
}
