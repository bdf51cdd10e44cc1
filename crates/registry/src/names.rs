//! Names from outside, checked before they reach a key.

use pagevault_api::reference::{check_repository, check_tag};

use crate::Result;
use crate::error::{RegistryError, RegistryErrorKind as Kind};

/// Refuses a repository name that breaks the grammar.
pub(crate) fn check(repository: &str) -> Result<()> {
    check_repository(repository).map_err(|e| RegistryError::new(Kind::Invalid, e.to_string()))
}

/// Refuses a tag that breaks the grammar.
pub(crate) fn check_tag_name(tag: &str) -> Result<()> {
    check_tag(tag).map_err(|e| RegistryError::new(Kind::Invalid, e.to_string()))
}
