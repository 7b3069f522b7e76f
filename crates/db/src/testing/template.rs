//! The migrated database that test databases are copied from: one for each set of migrations.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
};

use secrecy::SecretString;
use sqlx::PgConnection;

use crate::{
    DbError,
    database::{MIGRATOR, migrate},
    testing::{execute, sibling},
};

/// Held while a template is made. Any number does that nobody else takes in the admin's database.
const LOCK: i64 = 0x726f_6c65_6361_6c6c;

/// Returns the name of the template, which is made by whoever comes first. Templates of other
/// migrations stay: another checkout may be using them.
pub(super) async fn ensure(admin: &mut PgConnection, admin_url: &SecretString) -> Result<String, DbError> {
    let name = name();
    if exists(admin, &name).await? {
        return Ok(name);
    }
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut *admin)
        .await?;
    let made = match exists(admin, &name).await {
        Ok(true) => Ok(()),
        Ok(false) => make(admin, admin_url, &name).await,
        Err(error) => Err(error),
    };
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(LOCK)
        .execute(&mut *admin)
        .await?;
    made.map(|()| name)
}

fn name() -> String {
    let mut hasher = DefaultHasher::new();
    for migration in MIGRATOR.iter() {
        (migration.version, &migration.checksum).hash(&mut hasher);
    }
    format!("rolecall_template_{:016x}", hasher.finish())
}

async fn exists(admin: &mut PgConnection, name: &str) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
    Ok(sqlx::query_scalar(sql).bind(name).fetch_one(admin).await?)
}

/// It gets its name last: what has the name is whole, even if the first one to try was killed.
async fn make(admin: &mut PgConnection, admin_url: &SecretString, name: &str) -> Result<(), DbError> {
    let draft = format!("{name}_draft");
    execute(admin, format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)")).await?;
    execute(admin, format!("CREATE DATABASE {draft}")).await?;
    migrate(&sibling(admin_url, &draft)?).await?;
    // A database with somebody in it cannot be copied.
    execute(admin, format!("ALTER DATABASE {draft} ALLOW_CONNECTIONS false")).await?;
    execute(admin, format!("ALTER DATABASE {draft} RENAME TO {name}")).await
}
