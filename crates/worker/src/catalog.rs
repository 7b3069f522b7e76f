//! The catalog: kept in this process by version, and published to the bot, which has no database.

use std::sync::{Arc, Mutex, PoisonError};

use rolecall_db::{
    Connection, DbError,
    catalog::{catalog_version, load_catalog},
    member_roles::list_roles_of_ours,
};
use rolecall_domain::catalog::{Catalog, GuildRole};
use rolecall_queue::catalog::{CATALOG, CatalogDocument, CatalogGuild};

use crate::{ctx::Ctx, error::WorkError};

/// The newest catalog that this process has loaded.
#[derive(Debug, Default)]
pub struct CatalogCache {
    newest: Mutex<Arc<Catalog>>,
}

impl CatalogCache {
    /// The catalog as the transaction sees it; loaded only if its version is not the one at hand.
    pub async fn load(&self, conn: &mut Connection) -> Result<Arc<Catalog>, DbError> {
        let version = catalog_version(conn).await?;
        let kept = Arc::clone(&self.newest.lock().unwrap_or_else(PoisonError::into_inner));
        if kept.version == version {
            return Ok(kept);
        }
        let loaded = Arc::new(load_catalog(conn).await?);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
        Ok(loaded)
    }
}

/// Publishes what the bot has to know; an older document never replaces a newer one.
pub async fn publish(ctx: &Ctx) -> Result<i64, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let catalog = ctx.catalog.load(&mut tx).await?;
    let of_ours = list_roles_of_ours(&mut tx).await?;
    tx.commit().await?;
    let document = document(&catalog, &of_ours);
    if let Err(error) = ctx
        .documents
        .set_newer(CATALOG, document.version, &document)
        .await
    {
        tracing::warn!(%error, "the catalog could not be published; the sweeper tries again");
    }
    Ok(catalog.version)
}

fn document(catalog: &Catalog, of_ours: &[GuildRole]) -> CatalogDocument {
    let mut guild_ids = catalog.guild_ids();
    guild_ids.extend(of_ours.iter().map(|role| role.guild));
    let guilds = guild_ids.into_iter().map(|guild_id| {
        let settings = catalog.guilds.get(&guild_id).cloned().unwrap_or_default();
        let mapped = catalog.mapped_roles(guild_id);
        let of_ours = of_ours.iter().filter(|role| role.guild == guild_id);
        let retired = of_ours.filter(|role| !mapped.contains(&role.role));
        CatalogGuild {
            guild_id,
            retired_roles: retired.map(|role| role.role).collect(),
            mapped_roles: mapped.into_iter().collect(),
            debtor_role: settings.debtor_role,
            introduced_role: settings.introduced_role,
            introductions_channel: settings.introductions_channel,
            alumni_role: settings.alumni_role,
            removes_people: catalog.removes_people(guild_id),
        }
    });
    CatalogDocument {
        version: catalog.version,
        guilds: guilds.collect(),
    }
}
