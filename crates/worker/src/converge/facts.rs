//! Everything known about a person, with the standing of each subscription derived anew.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    grants::list_grants_of,
    payments::{PaidFor, list_payments_of},
    purchases::{list_purchases_of, set_purchase_standing},
    subscriptions::{list_subscriptions_of, set_standing},
};
use rolecall_domain::{
    catalog::Catalog,
    ids::MemberId,
    member::{Holding, HoldingId, MemberFacts, gives_access},
    reversal::{Payment, Reversal, reversal},
};

use crate::error::WorkError;

/// The facts, and what is new about them.
pub(super) struct Derived {
    pub(super) facts: MemberFacts,
    /// What gives access for the first time.
    pub(super) first_access: Vec<HoldingId>,
    /// The next moment at which time alone changes something.
    pub(super) next_change_at: Option<DateTime<Utc>>,
}

/// Derives the standing of everything the person holds at `now`, and keeps what changed.
pub(super) async fn derive(
    conn: &mut Connection,
    member_id: MemberId,
    catalog: &Catalog,
    default_grace: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Derived, WorkError> {
    let payments = Payments(list_payments_of(conn, member_id).await?);
    let mut derived = Derived {
        facts: MemberFacts::default(),
        first_access: Vec::new(),
        next_change_at: payments.next_end(now),
    };
    for mut stored in list_subscriptions_of(conn, member_id).await? {
        stored.facts.reversal = payments.reversal(catalog, |paid_for| {
            paid_for.subscription.as_ref() == Some(&stored.facts.id)
                && paid_for.period_end.is_none_or(|end| now < end)
        });
        let holdings = stored.holdings(catalog, default_grace, now);
        let access = holdings.iter().any(|holding| gives_access(holding, catalog, now));
        // The plan it was bought for speaks for it.
        if let Some(first) = holdings.first()
            && (first.standing != stored.standing
                || stored.standing_since.is_none()
                || access && !stored.had_access)
        {
            set_standing(conn, &stored.facts.id, first.standing, first.since, access).await?;
        }
        derived.add(holdings, access);
    }
    for stored in list_purchases_of(conn, member_id).await? {
        let reversal = payments.reversal(catalog, |paid_for| {
            paid_for.payment_intent.is_some() && paid_for.payment_intent == stored.payment_intent
        });
        let holding = stored.holding(reversal, catalog, default_grace, now);
        let access = gives_access(&holding, catalog, now);
        if holding.standing != stored.standing
            || stored.standing_since.is_none()
            || access && !stored.had_access
        {
            set_purchase_standing(conn, &stored.id, holding.standing, holding.since, access).await?;
        }
        derived.add(vec![holding], access);
    }
    derived.facts.grants = list_grants_of(conn, member_id).await?;
    let of_facts = derived.facts.next_change_at(catalog, now);
    derived.next_change_at = derived.next_change_at.into_iter().chain(of_facts).min();
    Ok(derived)
}

impl Derived {
    /// Adds the holdings of one purchase, and notes whether it gives access for the first time.
    fn add(&mut self, holdings: Vec<Holding>, access: bool) {
        if let Some(first) = holdings.first()
            && access
            && !first.had_access
        {
            self.first_access.push(first.id.clone());
        }
        self.facts
            .holdings
            .extend(holdings.into_iter().map(|holding| Holding {
                had_access: holding.had_access || access,
                ..holding
            }));
    }
}

/// The person's payments to which something happened after they were made.
struct Payments(Vec<(PaidFor, Payment)>);

impl Payments {
    /// The gravest of what became of the payments for one thing.
    fn reversal(&self, catalog: &Catalog, is_for: impl Fn(&PaidFor) -> bool) -> Option<Reversal> {
        let of_it = self.0.iter().filter(|(paid_for, _)| is_for(paid_for));
        of_it
            .filter_map(|(_, payment)| reversal(payment, &catalog.policy.reversals))
            .min_by_key(|reversal| (std::cmp::Reverse(reversal.consequence), reversal.since))
    }

    /// When the next period ends that was paid by one of them: after it, it counts no more.
    fn next_end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let ends = self.0.iter().filter_map(|(paid_for, _)| paid_for.period_end);
        ends.filter(|end| now < *end).min()
    }
}
