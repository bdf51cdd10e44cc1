//! The policies: an object in the store, or a file that was read at the start.

use pagevault_api::retention::RetentionConfig;
use pagevault_catalog::Policies;

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Registry, Result, catalog_error};

/// ETag of policies that are read from a file.
const FROM_FILE: &str = "file";

impl Registry {
    /// Policies and quotas, and their ETag.
    pub async fn policies(&self) -> Result<Policies> {
        match &self.policies_file {
            Some(config) => Ok(Policies { config: config.clone(), etag: FROM_FILE.to_owned() }),
            None => self.catalog.policies().await.map_err(catalog_error),
        }
    }

    /// Whether the policies are those of a file, and cannot be changed here.
    pub fn policies_are_fixed(&self) -> bool {
        self.policies_file.is_some()
    }

    /// Replaces policies and quotas, if they are still those of that ETag; without one, whatever they
    /// are.
    pub async fn put_policies(
        &self,
        config: RetentionConfig,
        expected: Option<&str>,
    ) -> Result<Policies> {
        if self.policies_are_fixed() {
            let message = "the policies are those of a file that the server was started with \
                           (--retention): change them there, and start it again";
            return Err(RegistryError::new(Kind::Conflict, message));
        }
        config.check().map_err(|e| RegistryError::new(Kind::Invalid, e.to_string()))?;
        self.catalog.put_policies(config, expected).await.map_err(catalog_error)
    }
}
