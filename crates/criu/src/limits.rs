//! What one checkpoint may make this crate hold. Real checkpoints stay far below all of it.

/// Bytes of an image that is read. The largest in practice is the `mm-<pid>.img` of a process with
/// Linux's default of 65,530 areas: about 5 MB.
pub const IMAGE_BYTES_MAX: usize = 64 << 20;

/// Fields of one message. A field is at least two bytes in an image and up to a hundred in memory.
pub const FIELDS_MAX: usize = 1 << 18;

/// Entries of an image that are kept, other than runs of a pagemap.
pub const ENTRIES_MAX: usize = 1 << 18;

/// Processes in a report.
pub const PROCESSES_MAX: usize = 1 << 15;

/// Areas, open files and threads in a report, of all processes together.
pub const ITEMS_MAX: usize = 1 << 19;

/// Bytes of names in a report. Names repeat (each area of a library has its path), and processes can
/// share a table of open files, so a small image could otherwise become a large report.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// Bytes of one name: `PATH_MAX`, and some for what is put before or after a path.
pub const NAME_BYTES_MAX: usize = 4096 + 64;

/// Warnings in a report.
pub const WARNINGS_MAX: usize = 500;

/// Levels of the process tree in a path of commands.
pub const DEPTH_MAX: usize = 32;
