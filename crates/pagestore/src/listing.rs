//! What there is of a kind, by name.

use pagevault_objects::Key;

use crate::Result;
use crate::store::PageStore;

/// Names of one list.
const LIST_MAX: usize = 1000;

/// Names under a prefix, a page of a listing at a time.
pub(crate) struct Names {
    prefix: &'static str,
    after: Option<Key>,
    more: bool,
}

impl Names {
    pub(crate) fn new(prefix: &'static str) -> Self {
        Self { prefix, after: None, more: true }
    }

    pub(crate) async fn next(&mut self, store: &PageStore) -> Result<Option<Vec<String>>> {
        if !self.more {
            return Ok(None);
        }
        let page = store.objects.list(self.prefix, self.after.as_ref(), LIST_MAX).await?;
        self.more = page.more;
        self.after = page.objects.last().map(|object| object.key.clone());
        let name = |key: &Key| key.as_str().rsplit('/').next().map(str::to_owned);
        Ok(Some(page.objects.iter().filter_map(|object| name(&object.key)).collect()))
    }
}
