//! Everything known about a person, with the standing of each subscription derived anew.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    member_records::MemberRecord,
    purchases::set_purchase_standing,
    subscriptions::{StoredSubscription, set_standing},
};
use rolecall_domain::{
    catalog::{Catalog, PlanSlug},
    ids::StripeSubscriptionId,
    member::{Holding, HoldingId, MemberFacts, gives_access},
    message::Debt,
    standing::Standing,
};

use crate::error::WorkError;

/// The facts, and what is new about them.
pub(super) struct Derived {
    pub(super) facts: MemberFacts,
    /// What gives access for the first time.
    pub(super) first_access: Vec<HoldingId>,
    /// What is owed on subscriptions.
    pub(super) debts: Vec<Owed>,
    /// Subscriptions on which nothing is owed any more, and whether they give access.
    pub(super) settled: Vec<(StripeSubscriptionId, bool)>,
    /// The next moment at which time alone changes something.
    pub(super) next_change_at: Option<DateTime<Utc>>,
}

/// A debt on a subscription.
pub(super) struct Owed {
    pub(super) subscription: StripeSubscriptionId,
    pub(super) plan: Option<PlanSlug>,
    pub(super) standing: Standing,
    pub(super) debt: Debt,
    /// Where it can be paid.
    pub(super) pay_url: Option<String>,
}

/// Derives the standing of everything the person of a record holds at `now`, and keeps what changed.
pub(super) async fn derive(
    conn: &mut Connection,
    record: MemberRecord,
    catalog: &Catalog,
    default_grace: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Derived, WorkError> {
    let mut derived = Derived {
        facts: MemberFacts::default(),
        first_access: Vec::new(),
        debts: Vec::new(),
        settled: Vec::new(),
        next_change_at: None,
    };
    for stored in &record.subscriptions {
        let holdings = record.subscription_holdings(stored, catalog, default_grace, now);
        let access = holdings.iter().any(|holding| gives_access(holding, catalog, now));
        let grace = catalog.grace(stored.facts.plan.as_ref(), default_grace);
        derived.add_debt(stored, &holdings, access, grace);
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
    for stored in &record.purchases {
        let holding = record.purchase_holding(stored, catalog, default_grace, now);
        let access = gives_access(&holding, catalog, now);
        if holding.standing != stored.standing
            || stored.standing_since.is_none()
            || access && !stored.had_access
        {
            set_purchase_standing(conn, &stored.id, holding.standing, holding.since, access).await?;
        }
        derived.add(vec![holding], access);
    }
    derived.next_change_at = derived
        .debts
        .iter()
        .filter_map(|owed| owed.debt.next_message_at(now))
        .chain(record.next_paid_end(now))
        .min();
    derived.facts.grants = record.grants;
    let of_facts = derived.facts.next_change_at(catalog, now);
    derived.next_change_at = derived.next_change_at.into_iter().chain(of_facts).min();
    Ok(derived)
}

impl Derived {
    /// Notes what is owed on a subscription, or that it has just been settled. A disputed payment is not
    /// a debt that could be paid by the person.
    fn add_debt(
        &mut self,
        stored: &StoredSubscription,
        holdings: &[Holding],
        access: bool,
        grace: TimeDelta,
    ) {
        let Some(standing) = holdings.first().map(|holding| holding.standing) else {
            return;
        };
        match stored.facts.owed_since {
            Some(since) if standing.owes() => self.debts.push(Owed {
                subscription: stored.facts.id.clone(),
                plan: stored.facts.plan.clone(),
                standing,
                debt: Debt {
                    since,
                    until: since
                        .checked_add_signed(grace)
                        .unwrap_or(DateTime::<Utc>::MAX_UTC),
                },
                pay_url: stored.owed_invoice_url.clone(),
            }),
            _ if stored.standing.owes() && !standing.owes() => {
                self.settled.push((stored.facts.id.clone(), access));
            }
            _ => {}
        }
    }

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
