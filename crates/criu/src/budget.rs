//! How much a report may still hold; see [`crate::limits`].

use crate::limits::{ITEMS_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::message::text;
use crate::warnings::Warnings;

/// What is left for a report.
#[derive(Debug)]
pub(crate) struct Budget {
    items: usize,
    text_bytes: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { items: ITEMS_MAX, text_bytes: TEXT_BYTES_MAX }
    }

    /// True if one more area, file or thread may be kept.
    pub(crate) fn item(&mut self, warnings: &mut Warnings) -> bool {
        if self.items == 0 {
            warnings.add("the report is cut short: too many areas, files and threads");
            return false;
        }
        self.items -= 1;
        true
    }

    /// A name of an image, if it may be kept.
    pub(crate) fn name(&mut self, bytes: &[u8], warnings: &mut Warnings) -> Option<String> {
        self.text(text(&bytes[..bytes.len().min(NAME_BYTES_MAX)]), warnings)
    }

    /// A text, if it may be kept.
    pub(crate) fn text(&mut self, text: String, warnings: &mut Warnings) -> Option<String> {
        let left = self.text_bytes.checked_sub(text.len());
        if left.is_none() {
            warnings.add("the report is cut short: too many names");
        }
        self.text_bytes = left?;
        Some(text)
    }
}
