//! Everything stored about people that decides their roles, for one person or page by page for all.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::{
    catalog::Catalog,
    ids::MemberId,
    member::{Grant, Holding, MemberFacts},
    reversal::{Payment, Reversal, reversal},
};

use crate::{
    Connection, DbError,
    grants::list_grants_of_many,
    payments::{PaidFor, list_payments_of},
    purchases::{StoredPurchase, list_purchases_of_many},
    subscriptions::{StoredSubscription, list_subscriptions_of_many},
};

/// What is stored about one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberRecord {
    /// Their subscriptions.
    pub subscriptions: Vec<StoredSubscription>,
    /// What they bought once.
    pub purchases: Vec<StoredPurchase>,
    /// Their grants that were not taken back.
    pub grants: Vec<Grant>,
    /// Payments of theirs to which something happened after they were made.
    payments: Vec<(PaidFor, Payment)>,
}

impl MemberRecord {
    /// What a subscription is worth at `now`, plan by plan.
    pub fn subscription_holdings(
        &self,
        stored: &StoredSubscription,
        catalog: &Catalog,
        default_grace: TimeDelta,
        now: DateTime<Utc>,
    ) -> Vec<Holding> {
        // What paid for an earlier period than the one that runs is over, even if that began before its time:
        // a plan switch or a new anchor bills anew at once.
        let current = stored.current_period_end;
        let reversal = self.reversal(catalog, |paid_for| {
            let runs = paid_for
                .period_end
                .is_none_or(|end| now < end && current.is_none_or(|current| current <= end));
            runs && paid_for.subscription.as_ref() == Some(&stored.facts.id)
        });
        stored.holdings(reversal, catalog, default_grace, now)
    }

    /// What a purchase is worth at `now`.
    pub fn purchase_holding(
        &self,
        stored: &StoredPurchase,
        catalog: &Catalog,
        default_grace: TimeDelta,
        now: DateTime<Utc>,
    ) -> Holding {
        let reversal = self.reversal(catalog, |paid_for| {
            paid_for.payment_intent.is_some() && paid_for.payment_intent == stored.payment_intent
        });
        stored.holding(reversal, catalog, default_grace, now)
    }

    /// Adds what became of a payment, beside what is known of it: the gravest counts.
    pub fn add_payment(&mut self, paid_for: PaidFor, payment: Payment) {
        self.payments.push((paid_for, payment));
    }

    /// The facts that their roles are derived from at `now`, under `catalog`.
    pub fn facts(&self, catalog: &Catalog, default_grace: TimeDelta, now: DateTime<Utc>) -> MemberFacts {
        let subscribed = self
            .subscriptions
            .iter()
            .flat_map(|stored| self.subscription_holdings(stored, catalog, default_grace, now));
        let bought = self
            .purchases
            .iter()
            .map(|stored| self.purchase_holding(stored, catalog, default_grace, now));
        MemberFacts {
            holdings: subscribed.chain(bought).collect(),
            grants: self.grants.clone(),
        }
    }

    /// The same as the last convergence found it: what is shown to people.
    pub fn last_facts(&self) -> MemberFacts {
        let subscribed = self.subscriptions.iter().map(StoredSubscription::last_holding);
        let bought = self.purchases.iter().map(StoredPurchase::last_holding);
        MemberFacts {
            holdings: subscribed.chain(bought).collect(),
            grants: self.grants.clone(),
        }
    }

    /// When the next period ends that was paid by a payment to which something happened: after it, it
    /// counts no more.
    pub fn next_paid_end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let ends = self
            .payments
            .iter()
            .filter_map(|(paid_for, _)| paid_for.period_end);
        ends.filter(|end| now < *end).min()
    }

    /// The gravest of what became of the payments for one thing.
    fn reversal(&self, catalog: &Catalog, is_for: impl Fn(&PaidFor) -> bool) -> Option<Reversal> {
        let of_it = self.payments.iter().filter(|(paid_for, _)| is_for(paid_for));
        of_it
            .filter_map(|(_, payment)| reversal(payment, &catalog.policy.reversals))
            .min_by_key(|reversal| (std::cmp::Reverse(reversal.consequence), reversal.since))
    }
}

/// What is stored about a person; empty for nobody.
pub async fn load_member_record(conn: &mut Connection, member_id: MemberId) -> Result<MemberRecord, DbError> {
    let mut records = load_member_records(conn, &[member_id]).await?;
    Ok(records.remove(&member_id).unwrap_or_default())
}

/// Up to `limit` people with a Discord account after the person `after`, each with what is stored.
pub async fn list_member_records(
    conn: &mut Connection,
    after: Option<MemberId>,
    limit: i64,
) -> Result<Vec<(MemberId, MemberRecord)>, DbError> {
    let members = sqlx::query_scalar!(
        "SELECT member_id FROM discord_accounts
         WHERE $1::uuid IS NULL OR member_id > $1
         ORDER BY member_id LIMIT $2",
        after.map(MemberId::as_uuid),
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    let members: Vec<MemberId> = members.into_iter().map(MemberId::from_uuid).collect();
    Ok(load_member_records(conn, &members).await?.into_iter().collect())
}

/// What is stored about each of several people.
pub async fn load_member_records(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<BTreeMap<MemberId, MemberRecord>, DbError> {
    let mut records: BTreeMap<MemberId, MemberRecord> = members
        .iter()
        .map(|member| (*member, MemberRecord::default()))
        .collect();
    for (member_id, stored) in list_subscriptions_of_many(conn, members).await? {
        records.entry(member_id).or_default().subscriptions.push(stored);
    }
    for (member_id, stored) in list_purchases_of_many(conn, members).await? {
        records.entry(member_id).or_default().purchases.push(stored);
    }
    for (member_id, grant) in list_grants_of_many(conn, members).await? {
        records.entry(member_id).or_default().grants.push(grant);
    }
    for (paid_for, payment) in list_payments_of(conn, members).await? {
        let theirs = records.values_mut().filter(|record| record.paid(&paid_for));
        for record in theirs {
            record.payments.push((paid_for.clone(), payment));
        }
    }
    Ok(records)
}

impl MemberRecord {
    fn paid(&self, paid_for: &PaidFor) -> bool {
        let subscribed =
            |stored: &StoredSubscription| Some(&stored.facts.id) == paid_for.subscription.as_ref();
        let bought = |stored: &StoredPurchase| {
            stored.payment_intent.is_some() && stored.payment_intent == paid_for.payment_intent
        };
        self.subscriptions.iter().any(subscribed) || self.purchases.iter().any(bought)
    }
}
