//! What the server is told before the bytes: the members that say whose checkpoint it is and where
//! its pages lay. It may begin to compare while the rest is on its way.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pagevault_api::upload::Hint;
use pagevault_archive::{ArchiveError, Limits, MemberKind, Scanner, Source};

use super::file::SourceFile;

/// Bytes of all members together. A checkpoint with larger page maps goes without a hint.
const HINT_BYTES_MAX: u64 = 8 << 20;
const METADATA: [&str; 3] = ["config.dump", "spec.dump", "status.dump"];
const IMAGES: [&str; 2] = ["inventory.img", "pstree.img"];
const IMAGE_FAMILIES: [&str; 3] = ["core-", "mm-", "pagemap-"];

/// The hint of a file; nothing if it is compressed, no tar, or needs too much.
pub(crate) fn read(file: &SourceFile) -> Option<Hint> {
    members(file).ok().flatten().map(|members| Hint { members })
}

fn members(file: &SourceFile) -> Result<Option<BTreeMap<String, String>>, ArchiveError> {
    let mut scanner = Scanner::new(Seeking::new(file), Limits::default());
    let (mut members, mut bytes) = (BTreeMap::new(), 0u64);
    while let Some(member) = scanner.next_member()? {
        if member.kind != MemberKind::File || !is_wanted(&member.path) {
            continue;
        }
        bytes = bytes.saturating_add(member.size);
        if bytes > HINT_BYTES_MAX {
            return Ok(None);
        }
        let data = scanner.read_member(member.size)?;
        members.insert(member.path, STANDARD.encode(data));
    }
    let complete = members.contains_key("config.dump") && members.contains_key("spec.dump");
    Ok(complete.then_some(members))
}

fn is_wanted(path: &str) -> bool {
    if METADATA.contains(&path) {
        return true;
    }
    let Some(image) = path.strip_prefix("checkpoint/") else { return false };
    IMAGES.contains(&image)
        || (image.ends_with(".img") && IMAGE_FAMILIES.iter().any(|f| image.starts_with(f)))
}

/// A file that is passed over by seeking, so that pages are not read for a few headers.
struct Seeking {
    reader: BufReader<At>,
}

struct At {
    file: SourceFile,
    position: u64,
}

impl Seeking {
    fn new(file: &SourceFile) -> Self {
        let at = At { file: file.clone(), position: 0 };
        Self { reader: BufReader::with_capacity(16 << 10, at) }
    }
}

impl Read for Seeking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl Read for At {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.file.read_at(buf, self.position)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}

impl Source for Seeking {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let buffered = self.reader.buffer().len();
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= buffered => self.reader.consume(bytes),
            _ => {
                let beyond = bytes.saturating_sub(buffered as u64);
                self.reader.consume(buffered);
                let at = self.reader.get_mut();
                at.position = at.position.saturating_add(beyond);
                if at.position > at.file.bytes() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(())
    }
}
