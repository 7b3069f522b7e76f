//! Everything known about a person, with the standing of each subscription derived anew.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    grants::list_grants_of,
    payments::{PaidFor, list_payments_of},
    purchases::{list_purchases_of, set_purchase_standing},
    subscriptions::{StoredSubscription, list_subscriptions_of, set_standing},
};
use rolecall_domain::{
    catalog::{Catalog, PlanSlug},
    ids::{MemberId, StripeSubscriptionId},
    member::{Holding, HoldingId, MemberFacts, gives_access},
    message::Debt,
    reversal::{Payment, Reversal, reversal},
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
        debts: Vec::new(),
        settled: Vec::new(),
        next_change_at: payments.next_end(now),
    };
    for mut stored in list_subscriptions_of(conn, member_id).await? {
        stored.facts.reversal = payments.reversal(catalog, |paid_for| {
            paid_for.subscription.as_ref() == Some(&stored.facts.id)
                && paid_for.period_end.is_none_or(|end| now < end)
        });
        let holdings = stored.holdings(catalog, default_grace, now);
        let access = holdings.iter().any(|holding| gives_access(holding, catalog, now));
        derived.add_debt(
            &stored,
            &holdings,
            access,
            catalog.grace(stored.facts.plan.as_ref(), default_grace),
        );
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
    let of_debts = derived
        .debts
        .iter()
        .filter_map(|owed| owed.debt.next_message_at(now));
    derived.next_change_at = derived
        .next_change_at
        .into_iter()
        .chain(of_facts)
        .chain(of_debts)
        .min();
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
