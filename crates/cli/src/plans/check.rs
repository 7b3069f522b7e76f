//! Checks a file against what is known: the servers as the bot saw them, and Stripe's prices.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_db::{
    Connection,
    guild_snapshots::{find_guild_snapshot, kick_fault, setup_faults},
};
use rolecall_domain::{
    catalog::EndPolicy,
    hierarchy,
    ids::{GuildId, RoleId},
};
use rolecall_queue::jobs::GuildObserved;
use rolecall_stripe::{client::Client, error::StripeError};

use crate::plans::{
    fault::Fault,
    file::{NamedPrice, NamedRole, PlansFile},
};

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Fault>,
    /// What could not be checked.
    pub(crate) warnings: Vec<String>,
}

/// Checks every role against the newest sight of its server.
pub(crate) async fn roles(conn: &mut Connection, file: &PlansFile) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    let mut by_guild: BTreeMap<_, Vec<NamedRole>> = BTreeMap::new();
    for role in &file.roles {
        by_guild.entry(role.guild).or_default().push(*role);
    }
    let removing = removing(file);
    for (guild, named) in by_guild {
        match find_guild_snapshot(conn, guild).await? {
            Some((seen, _)) => {
                findings.faults.extend(role_faults(&seen, &named));
                if removing.contains(&guild) {
                    findings.warnings.extend(kick_warning(&seen));
                }
            }
            None => findings.warnings.push(format!(
                "server {guild}: the bot has not seen it yet, so its roles could not be checked; start the bot, then apply again"
            )),
        }
    }
    Ok(findings)
}

/// The servers from which the end of some plan removes people.
fn removing(file: &PlansFile) -> BTreeSet<GuildId> {
    let kicks = file.plans.iter().filter(|row| row.plan.end == EndPolicy::Kick);
    kicks
        .flat_map(|row| &row.plan.roles)
        .map(|role| role.guild)
        .collect()
}

/// What has to be mended before anybody can be removed. No fault of the file: it is right all the same.
fn kick_warning(seen: &GuildObserved) -> Option<String> {
    let fault = kick_fault(seen)?;
    Some(format!("server {:?}: {fault}. {}", seen.name, fault.fix()))
}

/// The faults of roles, each on the line that names it. What the bot lacks as a whole is the set-up
/// check's to tell: it can be mended without touching the file.
fn role_faults(seen: &GuildObserved, named: &[NamedRole]) -> Vec<Fault> {
    let ids: Vec<RoleId> = named.iter().map(|named| named.role).collect();
    let faults = setup_faults(seen, &ids);
    let on_line = |fault: &hierarchy::Fault| {
        let role = fault.role()?;
        let problem = format!("server {:?}: {fault}. {}", seen.name, fault.fix());
        Some(
            named
                .iter()
                .filter(move |named| named.role == role)
                .map(move |named| Fault::new(named.line, problem.clone())),
        )
    };
    faults.iter().filter_map(on_line).flatten().collect()
}

/// Checks every price against Stripe.
pub(crate) async fn prices(stripe: Option<&Client>, file: &PlansFile) -> Findings {
    let mut findings = Findings::default();
    let Some(stripe) = stripe else {
        if file.price_order.values().any(|prices| !prices.is_empty()) {
            findings
                .warnings
                .push("STRIPE_SECRET_KEY is not set, so prices could not be checked".to_owned());
        }
        return findings;
    };
    for price in file.price_order.values().flatten() {
        match price_problem(stripe, price).await {
            Ok(None) => {}
            Ok(Some(Problem::Fault(problem))) => findings.faults.push(Fault::new(price.line, problem)),
            Ok(Some(Problem::Warning(problem))) => {
                findings.warnings.push(format!("line {}: {problem}", price.line));
            }
            Err(error) => {
                findings
                    .warnings
                    .push(format!("prices could not all be checked: {error}"));
                return findings;
            }
        }
    }
    findings
}

/// What is wrong with a price.
enum Problem {
    /// With it the plan would not be what the file says.
    Fault(String),
    /// Something to know.
    Warning(String),
}

async fn price_problem(stripe: &Client, named: &NamedPrice) -> Result<Option<Problem>, StripeError> {
    let price = match stripe.get_price(&named.id).await {
        Ok(price) => price,
        Err(StripeError::NotFound { .. }) => {
            let problem =
                "Stripe has no such price in this account and mode; copy its id from the product's page";
            return Ok(Some(Problem::Fault(format!(
                "{:?}: {problem}",
                named.id.as_str()
            ))));
        }
        Err(error) => return Err(error),
    };
    Ok(match (named.lifetime, price.recurring.is_some()) {
        (false, false) => Some(Problem::Fault(format!(
            "{:?} is a one-time price; name it under lifetime_prices",
            named.id.as_str()
        ))),
        (true, true) => Some(Problem::Fault(format!(
            "{:?} is a recurring price; name it under prices",
            named.id.as_str()
        ))),
        // Whoever pays it keeps the plan by it, and that is how prices are raised for new members only.
        _ if !price.is_buyable() => Some(Problem::Warning(format!(
            "{:?} or its product is archived or deleted at Stripe: whoever pays it keeps the plan, and nobody can buy it",
            named.id.as_str()
        ))),
        _ => None,
    })
}
