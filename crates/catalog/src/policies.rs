//! Retention policies and quotas: one record.

use bytes::Bytes;
use pagevault_api::retention::RetentionConfig;
use pagevault_objects::{ErrorKind, Key, Precondition};

use crate::error::CatalogError;
use crate::keys::POLICIES;
use crate::record::Envelope;
use crate::{Catalog, Result};

/// Policies as they were read, and which writing of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// What they say; nothing where none were ever written.
    pub config: RetentionConfig,
    /// Another one after each write. Without quotes.
    pub etag: String,
}

impl Policies {
    /// What there is before the first write.
    pub const UNWRITTEN: &'static str = "0";
}

impl Catalog {
    /// The policies.
    pub async fn policies(&self) -> Result<Policies> {
        Ok(self.read_policies().await?.0)
    }

    /// Replaces the policies, if they are still those of that etag; without one, whatever they are.
    /// [`CatalogError::Changed`] if they are not.
    pub async fn put_policies(
        &self,
        config: RetentionConfig,
        expected: Option<&str>,
    ) -> Result<Policies> {
        let (old, when) = self.read_policies().await?;
        if expected.is_some_and(|etag| etag != old.etag) {
            return Err(CatalogError::Changed(old.etag));
        }
        let envelope = Envelope::new(Some(config.clone()), None)?;
        let bytes = Bytes::from(envelope.to_bytes()?);
        match self.store.put(&Key::new(POLICIES)?, bytes, when).await {
            Ok(_) => Ok(Policies { config, etag: envelope.nonce }),
            Err(e) if matches!(e.kind(), ErrorKind::Precondition | ErrorKind::NotFound) => {
                Err(CatalogError::Changed(self.policies().await?.etag))
            }
            Err(e) => Err(e.into()),
        }
    }

    async fn read_policies(&self) -> Result<(Policies, Precondition)> {
        match self.store.get(&Key::new(POLICIES)?).await {
            Ok(object) => {
                let envelope = Envelope::from_bytes(POLICIES, &object.bytes)?;
                let config = envelope.record.unwrap_or_default();
                let policies = Policies { config, etag: envelope.nonce };
                Ok((policies, Precondition::Matches(object.version)))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let (config, etag) = (RetentionConfig::default(), Policies::UNWRITTEN.to_owned());
                Ok((Policies { config, etag }, Precondition::Absent))
            }
            Err(e) => Err(e.into()),
        }
    }
}
