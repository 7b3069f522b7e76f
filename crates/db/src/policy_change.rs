//! A policy is put in force: checked, weighed over everybody, saved as a new version, and owed to everybody
//! as a convergence, whoever asked for it and by which way.

use std::collections::BTreeMap;

use rolecall_domain::{
    catalog::GuildRole,
    ids::{AuditId, GuildId, RoleId},
    impact::Impact,
    policy::Policy,
};
use serde_json::json;

use crate::{
    Connection, DbError,
    audit::{AuditLine, insert_audit_line},
    catalog::{load_catalog, raise_catalog_version},
    giving::By,
    guild_snapshots::{find_guild_snapshot, setup_faults},
    impact::{Terms, in_words, weigh},
    members::set_converge_due_for_all,
    policies::{current_policy, insert_policy},
};

/// A policy that somebody wants in force.
#[derive(Debug, Clone, Copy)]
pub struct PolicyChange<'a> {
    /// The whole policy.
    pub policy: &'a Policy,
    /// The version that the change was made from, where the editor said it.
    pub if_version: Option<i64>,
}

/// What a change of policy would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// The version in force.
    pub version: i64,
    /// The policy is in force already.
    pub is_same: bool,
    /// What it does to people.
    pub impact: Impact,
    /// The same in words.
    pub summary: String,
    /// What could not be checked.
    pub warnings: Vec<String>,
}

/// Why a policy is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyRefusal {
    /// It makes no sense.
    #[error("the policy has faults: {}", .0.join("; "))]
    Faults(Vec<String>),
    /// Somebody else was faster.
    #[error(
        "version {current} is in force by now, and not {expected}: read it, and make your change to that one"
    )]
    Overtaken {
        /// The version in force.
        current: i64,
        /// The version that the change was made from.
        expected: i64,
    },
    /// Nobody would have access any more.
    #[error(
        "it would lock everybody out: of {} with access now {} would keep it ({summary})",
        .impact.with_access_before, .impact.with_access_after
    )]
    LocksOut {
        /// The numbers.
        impact: Box<Impact>,
        /// The same in words.
        summary: String,
    },
    /// Postgres.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Says what a change would do, or why it may not be made.
pub async fn weigh_policy(
    conn: &mut Connection,
    change: PolicyChange<'_>,
    terms: Terms,
) -> Result<Weighed, PolicyRefusal> {
    let current = current_policy(conn).await?;
    if let Some(expected) = change.if_version.filter(|version| *version != current.version) {
        let current = current.version;
        return Err(PolicyRefusal::Overtaken { current, expected });
    }
    let before = load_catalog(conn).await?;
    let mut faults = change.policy.faults();
    faults.extend(change.policy.unknown_plans(&before));
    let (role_faults, warnings) = check_roles(conn, change.policy).await?;
    faults.extend(role_faults);
    if !faults.is_empty() {
        return Err(PolicyRefusal::Faults(faults));
    }
    let mut after = before.clone();
    after.policy = change.policy.clone();
    let impact = weigh(conn, &before, &after, terms).await?;
    let summary = in_words(conn, &impact).await?;
    if impact.locks_everybody_out() {
        let impact = Box::new(impact);
        return Err(PolicyRefusal::LocksOut { impact, summary });
    }
    Ok(Weighed {
        version: current.version,
        is_same: *change.policy == current.policy,
        impact,
        summary,
        warnings,
    })
}

/// Puts a policy in force that may be, unless it is already; the version that is in force then stands in the
/// answer. After the commit the worker is told to publish the catalog and to converge everybody.
pub async fn save_policy(
    conn: &mut Connection,
    change: PolicyChange<'_>,
    reason: &str,
    terms: Terms,
    by: By<'_>,
) -> Result<Weighed, PolicyRefusal> {
    // Locks out whoever else changes plans or policy, so that what was weighed is what is saved.
    let catalog = raise_catalog_version(conn).await?;
    let mut weighed = weigh_policy(conn, change, terms).await?;
    if weighed.is_same {
        return Ok(weighed);
    }
    weighed.version = insert_policy(conn, change.policy, by.actor, reason, by.now).await?;
    let line = AuditLine {
        id: AuditId::generate(by.now, by.rng),
        at: by.now,
        actor: by.actor,
        action: "policy.save",
        member_id: None,
        subject: &format!("policy {}", weighed.version),
        detail: json!({ "catalog": catalog, "impact": weighed.impact }),
    };
    insert_audit_line(conn, &line).await?;
    set_converge_due_for_all(conn, by.now).await?;
    Ok(weighed)
}

/// What keeps the bot from giving the roles that the policy names; and what could not be checked.
async fn check_roles(conn: &mut Connection, policy: &Policy) -> Result<(Vec<String>, Vec<String>), DbError> {
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    let mut by_guild: BTreeMap<GuildId, Vec<RoleId>> = BTreeMap::new();
    for GuildRole { guild, role } in policy.roles() {
        by_guild.entry(guild).or_default().push(role);
    }
    for (guild, roles) in by_guild {
        let Some((seen, _)) = find_guild_snapshot(conn, guild).await? else {
            warnings.push(format!(
                "server {guild}: the bot has not seen it yet, so its roles could not be checked"
            ));
            continue;
        };
        let of_roles = setup_faults(&seen, &roles)
            .into_iter()
            .filter(|fault| fault.role().is_some());
        faults.extend(of_roles.map(|fault| format!("server {:?}: {fault}. {}", seen.name, fault.fix())));
    }
    Ok((faults, warnings))
}
