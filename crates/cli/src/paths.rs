//! Where things are on this machine (XDG base directories).

use std::env;
use std::path::PathBuf;

/// Where a server keeps everything, unless told otherwise.
pub(crate) fn data() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/pagevault"));
    }
    Some(base("XDG_DATA_HOME", ".local/share")?.join("pagevault"))
}

/// Where `push` keeps the names of unfinished uploads.
pub(crate) fn uploads() -> Option<PathBuf> {
    Some(base("XDG_STATE_HOME", ".local/state")?.join("pagevault/uploads"))
}

/// The specification wants relative paths to be ignored.
fn base(variable: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let stated = env::var_os(variable).map(PathBuf::from).filter(absolute);
    let home = || env::var_os("HOME").map(PathBuf::from).filter(absolute);
    stated.or_else(|| Some(home()?.join(in_home)))
}
