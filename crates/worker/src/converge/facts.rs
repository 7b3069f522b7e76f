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
        let mut holdings = stored.holdings(catalog, default_grace, now);
        let access = holdings.iter().any(|holding| gives_access(holding, catalog, now));
        let first_access = access && !stored.had_access;
        // The plan it was bought for speaks for it.
        if let Some(first) = holdings.first()
            && (first.standing != stored.standing || stored.standing_since.is_none() || first_access)
        {
            set_standing(conn, &stored.facts.id, first.standing, first.since, access).await?;
        }
        if first_access {
            derived.first_access.push(stored.facts.id);
        }
        for holding in &mut holdings {
            holding.had_access |= access;
        }
        derived.facts.holdings.extend(holdings);
    }
    derived.facts.grants = list_grants_of(conn, member_id).await?;
    Ok(derived)
}
