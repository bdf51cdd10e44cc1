//! What clients rely on: that a blob which they were told exists is there when their manifest names
//! it.

use pagevault_api::Digest;

use crate::{Registry, Result};

impl Registry {
    /// A client is about to be told that this blob exists in this repository: by a 200 to a HEAD, a
    /// 201 to an upload or to a mount. Every such answer passes here, before it is given; one that
    /// cannot be kept fails.
    ///
    /// Nothing is removed yet but by DELETE, which ends a promise, so there is nothing to keep.
    #[expect(clippy::unused_async, reason = "a promise that lasts is a record, written before")]
    pub(crate) async fn told_of_blob(&self, _repository: &str, _digest: &Digest) -> Result<()> {
        Ok(())
    }
}
