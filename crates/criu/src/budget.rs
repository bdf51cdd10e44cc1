//! How much a report may still hold; see [`crate::limits`].

use crate::limits::{ITEMS_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::message::text;
use crate::warnings::Warnings;

const TOO_MUCH_TEXT: &str = "the report is cut short: too many names";

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
        // Looked at before anything is copied: what is left out must cost nothing.
        let bytes = &bytes[..bytes.len().min(NAME_BYTES_MAX)];
        if self.text_bytes < bytes.len() {
            warnings.add(TOO_MUCH_TEXT);
            return None;
        }
        self.text(text(bytes), warnings)
    }

    /// A text, if it may be kept.
    pub(crate) fn text(&mut self, text: String, warnings: &mut Warnings) -> Option<String> {
        let left = self.text_bytes.checked_sub(text.len());
        if left.is_none() {
            warnings.add(TOO_MUCH_TEXT);
        }
        self.text_bytes = left?;
        Some(text)
    }
}
