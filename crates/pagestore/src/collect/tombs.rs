//! Tombstones: what is condemned, and the check that every writer makes before it relies on a name.
//!
//! A collector writes the tombstone of a thing and *then* looks once more who names it. A writer
//! publishes its name for a thing and *then* looks for a tombstone, and after that whether the thing
//! is there. So at least one of the two sees the other.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use pagevault_objects::{ErrorKind, Key, ObjectError, Precondition};

use super::id::Id;
use crate::Result;
use crate::share::hooks_key;
use crate::store::{PageStore, RecipeId, data_key, recipe_key};

/// Where all tombstones are.
const TOMBSTONES: &str = "tombstones/";

/// Tombstones that are read in one list; where there are more, each name is asked for by itself.
const LISTED_MAX: usize = 1000;

/// Requests of one check at a time.
const AT_ONCE: usize = 16;

/// What can be condemned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Recipe,
    Data,
}

impl Kind {
    /// Where objects of this kind are.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Recipe => "recipes/",
            Self::Data => "data/",
        }
    }

    fn tombstones(self) -> &'static str {
        match self {
            Self::Recipe => "tombstones/recipes/",
            Self::Data => "tombstones/data/",
        }
    }

    pub(super) fn key(self, name: &str) -> Result<Key> {
        match self {
            Self::Recipe => recipe_key(&RecipeId(name.to_owned())),
            Self::Data => data_key(name),
        }
    }

    /// Where the tombstone of a thing is.
    pub(crate) fn tombstone(self, name: &str) -> Result<Key> {
        Ok(Key::new(format!("{}{name}", self.tombstones()))?)
    }
}

/// Whether something may be relied on by whoever has published a name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there and stays while it is named.
    Kept,
    /// It is there, or was a moment ago, and may go at any time: store it anew.
    Condemned,
    /// It is not there.
    Gone,
}

impl PageStore {
    /// Whether a recipe may be relied on. Asked *after* the name for it has been published, the
    /// answer [`Standing::Kept`] holds for as long as that name stands.
    pub async fn standing(&self, id: &RecipeId) -> Result<Standing> {
        self.standing_of(&[(Kind::Recipe, id.0.clone())]).await
    }

    /// The worst standing of several: first no tombstone, then present.
    pub(crate) async fn standing_of(&self, names: &[(Kind, String)]) -> Result<Standing> {
        let condemned = self.any_condemned(names).await?;
        let checks = stream::iter(names.to_vec()).map(|(kind, name)| async move {
            let key = kind.key(&name)?;
            self.is_there(&key).await
        });
        let there: Vec<bool> = checks.buffered(AT_ONCE).try_collect().await?;
        Ok(match () {
            () if there.contains(&false) => Standing::Gone,
            () if condemned => Standing::Condemned,
            () => Standing::Kept,
        })
    }

    async fn any_condemned(&self, names: &[(Kind, String)]) -> Result<bool> {
        if names.is_empty() {
            return Ok(false);
        }
        // Mostly there is none, and one request says so.
        let page = self.objects.list(TOMBSTONES, None, LISTED_MAX).await?;
        let mut keys = Vec::with_capacity(names.len());
        for (kind, name) in names {
            keys.push(kind.tombstone(name)?);
        }
        if page.objects.iter().any(|found| keys.contains(&found.key)) {
            return Ok(true);
        }
        if !page.more {
            return Ok(false);
        }
        let asked = stream::iter(keys).map(|key| async move { self.is_there(&key).await });
        let found: Vec<bool> = asked.buffered(AT_ONCE).try_collect().await?;
        Ok(found.contains(&true))
    }

    pub(super) async fn is_there(&self, key: &Key) -> Result<bool> {
        match self.objects.head(key).await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Writes a tombstone. It is never taken back.
    pub(super) async fn condemn(&self, kind: Kind, id: Id) -> Result<()> {
        let key = kind.tombstone(&id.to_string())?;
        match self.objects.put(&key, Bytes::new(), Precondition::Absent).await {
            Ok(_) => Ok(()),
            // Another collector was first.
            Err(e) if e.kind() == ErrorKind::Precondition => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes something condemned that nothing names any more, then its tombstone.
    pub(super) async fn bury(&self, kind: Kind, id: Id) -> Result<()> {
        let name = id.to_string();
        self.objects.delete(&kind.key(&name)?).await?;
        if kind == Kind::Data {
            // A cache of what was in it, that nobody needs any more.
            self.objects.delete(&hooks_key(&name)?).await?;
        }
        self.forget(kind, id).await
    }

    /// Removes the tombstone of something that is gone.
    pub(super) async fn forget(&self, kind: Kind, id: Id) -> Result<()> {
        Ok(self.objects.delete(&kind.tombstone(&id.to_string())?).await?)
    }

    /// Names of data objects that have a tombstone.
    pub(crate) async fn condemned_objects(&self) -> Result<HashSet<String>> {
        Ok(self.condemned(Kind::Data).await?.iter().map(Id::to_string).collect())
    }

    /// All that has a tombstone.
    pub(super) async fn condemned(&self, kind: Kind) -> Result<HashSet<Id>> {
        let mut all = HashSet::new();
        let mut after = None;
        loop {
            let page = self.objects.list(kind.tombstones(), after.as_ref(), LISTED_MAX).await?;
            let ids = page.objects.iter().map(|found| named(found.key.as_str()));
            all.extend(ids.collect::<Result<Vec<_>>>()?);
            after = page.objects.last().map(|found| found.key.clone());
            if !page.more {
                return Ok(all);
            }
        }
    }
}

/// The name in a key of ours. What is named otherwise is not understood, so nothing is removed.
pub(super) fn named(key: &str) -> Result<Id> {
    let unknown = || {
        let what = format!("object {key} has a name that this program does not give");
        ObjectError::told(ErrorKind::Invalid, what).into()
    };
    Id::of_key(key).ok_or_else(unknown)
}
