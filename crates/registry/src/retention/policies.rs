//! The policies: an object in the store, or a file that was read at the start.

use std::sync::Arc;

use pagevault_api::retention::RetentionConfig;
use pagevault_catalog::{Catalog, Policies};

use crate::error::{RegistryError, RegistryErrorKind as Kind};
use crate::{Registry, Result, catalog_error};

/// ETag of policies that are read from a file.
const FROM_FILE: &str = "file";

/// Where the policies are. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PolicySource {
    pub(crate) catalog: Arc<Catalog>,
    /// What the file says, if there is one.
    pub(crate) file: Option<Arc<RetentionConfig>>,
}

impl PolicySource {
    pub(crate) async fn read(&self) -> Result<Policies> {
        match &self.file {
            Some(file) => {
                Ok(Policies { config: file.as_ref().clone(), etag: FROM_FILE.to_owned() })
            }
            None => self.catalog.policies().await.map_err(catalog_error),
        }
    }
}

impl Registry {
    /// Policies and quotas, and their ETag: `file` where they are those of a file.
    pub async fn policies(&self) -> Result<Policies> {
        self.quotas.source.read().await
    }

    /// Replaces policies and quotas, if they are still those of that ETag; without one, whatever they
    /// are.
    pub async fn put_policies(
        &self,
        config: RetentionConfig,
        expected: Option<&str>,
    ) -> Result<Policies> {
        if self.quotas.source.file.is_some() {
            let message = "the policies are those of a file that the server was started with \
                           (--retention): change them there, and start it again";
            return Err(RegistryError::new(Kind::Conflict, message));
        }
        config.check().map_err(|e| RegistryError::new(Kind::Invalid, e.to_string()))?;
        self.catalog.put_policies(config, expected).await.map_err(catalog_error)
    }
}
