//! Everything known about a person, with the standing of each subscription derived anew.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    grants::list_grants_of,
    subscriptions::{list_subscriptions_of, set_standing},
};
use rolecall_domain::{
    catalog::Catalog,
    ids::{MemberId, StripeSubscriptionId},
    member::{MemberFacts, gives_access},
    standing::standing,
};

use crate::error::WorkError;

/// The facts, and what is new about them.
pub(super) struct Derived {
    pub(super) facts: MemberFacts,
    /// Subscriptions that give access for the first time.
    pub(super) first_access: Vec<StripeSubscriptionId>,
}

/// Derives the standing of every subscription at `now` and keeps what changed.
pub(super) async fn derive(
    conn: &mut Connection,
    member_id: MemberId,
    catalog: &Catalog,
    default_grace: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Derived, WorkError> {
    let mut derived = Derived {
        facts: MemberFacts::default(),
        first_access: Vec::new(),
    };
    for stored in list_subscriptions_of(conn, member_id).await? {
        let policy = catalog.standing_policy(stored.facts.plan.as_ref(), default_grace);
        let mut holding = stored.holding(standing(&stored.facts, policy, now));
        let access = gives_access(&holding, catalog);
        let first_access = access && !stored.had_access;
        if holding.standing != stored.standing || first_access {
            set_standing(conn, &stored.facts.id, holding.standing, access).await?;
        }
        if first_access {
            derived.first_access.push(stored.facts.id);
        }
        holding.had_access |= access;
        derived.facts.holdings.push(holding);
    }
    derived.facts.grants = list_grants_of(conn, member_id).await?;
    Ok(derived)
}
