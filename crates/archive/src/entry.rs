//! One entry of a tar.

/// An entry, as it calls itself. Its extension headers begin at `header_offset`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) flag: u8,
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) mtime: Option<u64>,
    pub(crate) device: (u64, u64),
    pub(crate) header_offset: u64,
    pub(crate) data_offset: u64,
}

impl Entry {
    /// Whether it is a directory: by its type, or (in old tars, and to GNU tar and Go) by the slash at its end.
    pub(crate) fn is_folder(&self) -> bool {
        self.flag == b'5' || (matches!(self.flag, 0 | b'0') && self.path.ends_with(b"/"))
    }

    /// Type bits in the mode are superfluous, but Go takes an entry for what they say.
    pub(crate) fn mode_fits(&self) -> bool {
        let of_type = match self.flag {
            b'5' => 0o040_000,
            b'0' | 0 if self.is_folder() => 0o040_000,
            b'0' | 0 | b'S' => 0o100_000,
            b'2' => 0o120_000,
            b'3' => 0o020_000,
            b'4' => 0o060_000,
            b'6' => 0o010_000,
            // A hard link has those of what it links to.
            b'1' => return self.mode <= 0o177_777,
            _ => 0,
        };
        matches!(self.mode & !0o7777, 0) || self.mode & !0o7777 == of_type
    }
}
