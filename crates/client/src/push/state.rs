//! The names of unfinished uploads, so that a push that was killed goes on in the next run.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pagevault_api::upload::PushOptions;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file::SourceFile;

/// Servers forget uploads after a day.
const KEPT_FOR: Duration = Duration::from_secs(3 * 24 * 3600);

/// Where the name of one push's upload is kept. Losing it costs sending again, so nothing here fails.
#[derive(Debug)]
pub(crate) struct State {
    path: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    upload: String,
}

impl State {
    /// The place for a push: the same file, unchanged, to the same server under the same name.
    pub(crate) fn new(
        folder: Option<&Path>,
        server: &str,
        file: &SourceFile,
        options: &PushOptions,
    ) -> Self {
        let name = |folder: &Path| {
            let mut hash = Sha256::new();
            let options = serde_json::to_string(options).ok()?;
            let stamp = format!("{:?}", file.stamp);
            let parts = [
                server.as_bytes(),
                file.path.as_os_str().as_bytes(),
                stamp.as_bytes(),
                options.as_bytes(),
            ];
            for part in parts {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
            Some(folder.join(format!("{}.json", hex::encode(hash.finalize()))))
        };
        Self { path: folder.and_then(name) }
    }

    /// The upload of an earlier run.
    pub(crate) fn load(&self) -> Option<String> {
        let saved = fs::read(self.path.as_ref()?).ok()?;
        Some(serde_json::from_slice::<Saved>(&saved).ok()?.upload)
    }

    pub(crate) fn save(&self, upload: &str) {
        let Some(path) = &self.path else { return };
        let saved = Saved { upload: upload.to_owned() };
        // Without it the push works just as well, once.
        let _ =
            serde_json::to_vec(&saved).map_err(io::Error::from).and_then(|json| write(path, &json));
    }

    pub(crate) fn forget(&self) {
        let Some(path) = &self.path else { return };
        let _ = fs::remove_file(path);
        if let Some(folder) = path.parent() {
            remove_old(folder);
        }
    }
}

/// Whoever knows the name may append: for the owner's eyes only.
fn write(path: &Path, json: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(json)?;
    fs::rename(temporary, path)
}

fn remove_old(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > KEPT_FOR) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
