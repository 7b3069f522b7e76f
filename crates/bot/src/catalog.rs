//! Which servers and roles are ours to touch: the catalog that the worker publishes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use rolecall_domain::ids::{GuildId, RoleId};
use rolecall_queue::{
    DocumentError, Documents,
    catalog::{CATALOG, CatalogDocument, CatalogGuild},
};

/// The newest catalog that was read. What is in it may be written, and nothing else.
#[derive(Debug)]
pub(crate) struct Catalog {
    documents: Documents,
    newest: Mutex<Option<Arc<CatalogDocument>>>,
}

impl Catalog {
    pub(crate) fn new(documents: Documents) -> Self {
        Self {
            documents,
            newest: Mutex::default(),
        }
    }

    /// What was read last. `None` before the worker has published anything.
    pub(crate) fn known(&self) -> Option<Arc<CatalogDocument>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads it again. Whether it has changed. One that is gone from Redis stays known here.
    pub(crate) async fn read(&self) -> Result<bool, DocumentError> {
        let read = self.documents.get::<CatalogDocument>(CATALOG).await?;
        Ok(read.is_some_and(|read| self.learn(read)))
    }

    /// Takes over a catalog. Whether it differs from the one known.
    pub(crate) fn learn(&self, read: CatalogDocument) -> bool {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = newest.as_deref() != Some(&read);
        if changed {
            tracing::info!(
                version = read.version,
                guilds = read.guilds.len(),
                "read a new catalog"
            );
            *newest = Some(Arc::new(read));
        }
        changed
    }

    /// Whether people are removed from a server when what they hold there has ended.
    pub(crate) fn removes_people(&self, guild_id: GuildId) -> bool {
        let known = self.known();
        let guild = known.as_deref().and_then(|known| known.guild(guild_id));
        guild.is_some_and(|guild| guild.removes_people)
    }

    /// The roles of a server that we may give and take. `None` without a catalog.
    pub(crate) fn mapped(&self, guild_id: GuildId) -> Option<BTreeSet<RoleId>> {
        self.roles(guild_id, |guild| guild.mapped_roles.iter().copied().collect())
    }

    /// The roles of a server that we may take: those that we may give, and those that we once gave. `None` without
    /// a catalog.
    pub(crate) fn takeable(&self, guild_id: GuildId) -> Option<BTreeSet<RoleId>> {
        self.roles(guild_id, |guild| {
            let all = guild.mapped_roles.iter().chain(&guild.retired_roles);
            all.copied().collect()
        })
    }

    /// Whether nothing is given in a server any more.
    pub(crate) fn is_retired(&self, guild_id: GuildId) -> bool {
        let known = self.known();
        let guild = known.as_deref().and_then(|known| known.guild(guild_id));
        guild.is_some_and(|guild| guild.mapped_roles.is_empty() && !guild.retired_roles.is_empty())
    }

    fn roles(
        &self,
        guild_id: GuildId,
        of: impl FnOnce(&CatalogGuild) -> BTreeSet<RoleId>,
    ) -> Option<BTreeSet<RoleId>> {
        let known = self.known()?;
        Some(known.guild(guild_id).map(of).unwrap_or_default())
    }
}
