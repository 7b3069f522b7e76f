//! One transaction: the reads that are written in it, whose they are, and all that follows from them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    customers::{link_unclaimed, list_customer_owners, upsert_customer},
    inbox::InboxState,
    inbox_line::set_events_finished,
    members::{Owed, lock_free_members, lock_member, set_converge_due},
    payments::{PaidFor, lock_free_paid_for, lock_paid_for},
    subscriptions::{SubscriptionRead, Written, insert_subscription, update_subscriptions},
};
use rolecall_domain::{
    catalog::Catalog,
    ids::{MemberId, StripeEventId, StripeSubscriptionId},
    trigger::Trigger,
};

use crate::{
    converge::{Converged, converge_locked},
    ctx::Ctx,
    error::WorkError,
    sync::writer::Draft,
};

/// What became of a draft.
#[derive(Debug)]
pub(super) enum Fate {
    /// Written, with what is left to be told; or not, because another read was faster.
    Decided(Option<Vec<Converged>>),
    /// Somebody else is writing about its person, or about its payment.
    Busy,
}

/// Writes one draft, and waits for whoever is writing about its person.
pub(super) async fn write_alone(ctx: &Ctx, draft: &Draft) -> Result<Option<Vec<Converged>>, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    if draft.mark.is_none() {
        let paid_for = PaidFor {
            subscription: Some(draft.read.id().clone()),
            ..PaidFor::default()
        };
        lock_paid_for(&mut tx, &paid_for).await?;
    }
    let owners = owners(&mut tx, &[draft], now).await?;
    let mut locked = BTreeMap::new();
    for member_id in people(&owners) {
        // The person before the subscription, in the order of every other convergence.
        locked.extend(
            lock_member(&mut tx, member_id)
                .await?
                .map(|owed| (member_id, owed)),
        );
    }
    let batch = Batch {
        drafts: vec![draft],
        owners,
        locked,
        busy: BTreeSet::new(),
        now,
    };
    if let Some(Fate::Decided(Some(converged))) = batch.write(&mut tx, ctx).await?.pop() {
        tx.commit().await?;
        return Ok(Some(converged));
    }
    tx.rollback().await?;
    Ok(None)
}

/// Writes several drafts, and waits for nobody.
pub(super) async fn write_together(ctx: &Ctx, drafts: &[Draft]) -> Result<Vec<Fate>, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let drafts: Vec<&Draft> = drafts.iter().collect();
    let busy = busy(&mut tx, &drafts).await?;
    let owners = owners(&mut tx, &drafts, now).await?;
    let members: Vec<MemberId> = people(&owners).into_iter().collect();
    let locked = lock_free_members(&mut tx, &members).await?.into_iter().collect();
    let batch = Batch {
        drafts,
        owners,
        locked,
        busy,
        now,
    };
    let fates = batch.write(&mut tx, ctx).await?;
    tx.commit().await?;
    Ok(fates)
}

/// Which of the subscriptions that are written for the first time somebody else is at, because of a payment. The
/// others are kept from them.
async fn busy(conn: &mut Connection, drafts: &[&Draft]) -> Result<BTreeSet<StripeSubscriptionId>, WorkError> {
    let new = drafts.iter().filter(|draft| draft.mark.is_none());
    let new: Vec<&StripeSubscriptionId> = new.map(|draft| draft.read.id()).collect();
    if new.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut busy: BTreeSet<StripeSubscriptionId> = new.iter().copied().cloned().collect();
    for free in lock_free_paid_for(conn, &new).await? {
        busy.remove(&free);
    }
    Ok(busy)
}

/// Who has to be locked for a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owners {
    /// Whose the subscription is.
    of_subscription: Option<MemberId>,
    /// Whose the customer is, where things of the customer may be nobody's yet: they are given them.
    of_the_rest: Option<MemberId>,
}

impl Owners {
    fn people(self) -> impl Iterator<Item = MemberId> {
        self.of_subscription.into_iter().chain(self.of_the_rest)
    }
}

/// Everybody, once, in the order in which everybody is locked.
fn people(owners: &[Owners]) -> BTreeSet<MemberId> {
    owners.iter().flat_map(|owners| owners.people()).collect()
}

/// Whose the subscription of each draft is. Customers that nobody has yet are kept, and locked in the order of
/// their ids.
async fn owners(
    conn: &mut Connection,
    drafts: &[&Draft],
    now: DateTime<Utc>,
) -> Result<Vec<Owners>, WorkError> {
    let mut customers = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let named = draft.member_id.or_else(|| draft.read.named());
        customers.push((draft.read.customer()?, named));
    }
    let known = list_customer_owners(conn, &customers).await?;
    let mut owners: Vec<Owners> = known
        .iter()
        .map(|known| Owners {
            of_subscription: known.named.or(known.linked),
            of_the_rest: known.linked.filter(|_| known.has_unclaimed),
        })
        .collect();
    let mut new: Vec<_> = customers
        .iter()
        .zip(&known)
        .zip(&mut owners)
        .filter(|((_, known), _)| known.linked.is_none())
        .collect();
    new.sort_by_key(|(((customer, _), _), _)| *customer);
    for (((customer, _), known), owners) in new {
        // Whoever was at the same customer has been waited for, and may have left something that is nobody's.
        let linked = upsert_customer(conn, customer, known.named, now).await?;
        *owners = Owners {
            of_subscription: known.named.or(linked),
            of_the_rest: linked,
        };
    }
    Ok(owners)
}

/// Drafts whose owners are known, and locked where they were free.
struct Batch<'a> {
    drafts: Vec<&'a Draft>,
    owners: Vec<Owners>,
    locked: BTreeMap<MemberId, Owed>,
    /// What cannot be written now for another reason.
    busy: BTreeSet<StripeSubscriptionId>,
    now: DateTime<Utc>,
}

impl Batch<'_> {
    /// Writes what can be written. Returns what became of each draft, in their order.
    async fn write(mut self, conn: &mut Connection, ctx: &Ctx) -> Result<Vec<Fate>, WorkError> {
        let catalog = ctx.catalog.load(conn).await?;
        let mut reads: Vec<Option<SubscriptionRead>> = Vec::with_capacity(self.drafts.len());
        for (draft, owners) in self.drafts.iter().zip(&self.owners) {
            let is_free = owners.people().all(|person| self.locked.contains_key(&person))
                && !self.busy.contains(draft.read.id());
            let owner = owners.of_subscription;
            reads.push(if is_free {
                let stored = draft.read.to_stored(conn, ctx, &catalog, owner, self.now);
                Some(stored.await?)
            } else {
                None
            });
        }
        let written = self.write_over(conn, &reads).await?;
        let given = self.link(conn).await?;
        self.finish(conn, &written).await?;
        let mut converged = self.converge(conn, ctx, &catalog, &written, given).await?;
        let fates = reads.iter().zip(&self.owners).map(|(read, owners)| match read {
            None => Fate::Busy,
            Some(read) if written.contains_key(&read.id) => {
                let told = owners.people().filter_map(|person| converged.remove(&person));
                Fate::Decided(Some(told.collect()))
            }
            Some(_) => Fate::Decided(None),
        });
        Ok(fates.collect())
    }

    /// Gives people what is nobody's yet of their customers, and returns who was given something. So it makes no
    /// difference which of a customer's subscriptions is read first, and which of them names somebody.
    async fn link(&self, conn: &mut Connection) -> Result<Vec<MemberId>, WorkError> {
        let mut links = Vec::new();
        for (draft, owners) in self.drafts.iter().zip(&self.owners) {
            let owner = owners.of_the_rest;
            if let Some(owner) = owner.filter(|owner| self.locked.contains_key(owner)) {
                links.push((draft.read.customer()?, owner));
            }
        }
        if links.is_empty() {
            return Ok(Vec::new());
        }
        Ok(link_unclaimed(conn, &links).await?)
    }

    /// Writes reads over what was there when they began. Returns what became of those that are stored now.
    async fn write_over(
        &self,
        conn: &mut Connection,
        reads: &[Option<SubscriptionRead>],
    ) -> Result<BTreeMap<StripeSubscriptionId, Written>, WorkError> {
        let mut written = BTreeMap::new();
        let mut updates = Vec::with_capacity(reads.len());
        for (draft, read) in self.drafts.iter().zip(reads) {
            match (draft.mark, read) {
                (_, None) => {}
                (Some(mark), Some(read)) => updates.push((read, mark.version)),
                (None, Some(read)) => {
                    if insert_subscription(conn, read, self.now).await? {
                        written.insert(read.id.clone(), Written::Changed { taken_from: None });
                    }
                }
            }
        }
        if !updates.is_empty() {
            written.extend(update_subscriptions(conn, &updates, self.now).await?);
        }
        Ok(written)
    }

    /// Notes with the events of what is written that they are done, and with those who have lost something by it
    /// that a convergence of their own is due.
    async fn finish(
        &self,
        conn: &mut Connection,
        written: &BTreeMap<StripeSubscriptionId, Written>,
    ) -> Result<(), WorkError> {
        for draft in &self.drafts {
            if let Some(status) = draft.read.unknown_status()
                && let Some(Written::Changed { .. }) = written.get(draft.read.id())
            {
                tracing::error!(
                    stripe.subscription_id = %draft.read.id(), stripe.status = %status,
                    "a subscription has a status that this version does not know: it keeps the standing that it had"
                );
            }
        }
        let done = self
            .drafts
            .iter()
            .filter(|draft| written.contains_key(draft.read.id()));
        let events: Vec<&StripeEventId> = done.flat_map(|draft| &draft.events).collect();
        if !events.is_empty() {
            set_events_finished(conn, &events, InboxState::Done, self.now).await?;
        }
        for written in written.values() {
            if let Written::Changed {
                taken_from: Some(former),
            } = written
            {
                if self.drafts.len() > 1 {
                    // Somebody would be waited for while others are held.
                    return Err(WorkError::Contended(format!("member {former}")));
                }
                set_converge_due(conn, *former, Trigger::Subscription, self.now).await?;
            }
        }
        Ok(())
    }

    /// Every change is converged in the transaction that writes it: what is as it was left nothing to do. What time
    /// alone changes is for the clock, and other causes are owed on their own.
    async fn converge(
        &mut self,
        conn: &mut Connection,
        ctx: &Ctx,
        catalog: &Catalog,
        written: &BTreeMap<StripeSubscriptionId, Written>,
        given: Vec<MemberId>,
    ) -> Result<BTreeMap<MemberId, Converged>, WorkError> {
        let changed = self
            .drafts
            .iter()
            .zip(&self.owners)
            .filter_map(|(draft, owners)| {
                let changed = matches!(written.get(draft.read.id()), Some(Written::Changed { .. }));
                owners.of_subscription.filter(|_| changed)
            });
        let mut people = Vec::new();
        for person in changed.chain(given) {
            // Once, however many of their subscriptions have changed.
            if let Some(owed) = self.locked.remove(&person) {
                people.push((person, owed));
            }
        }
        if people.is_empty() {
            return Ok(BTreeMap::new());
        }
        let converged = converge_locked(conn, ctx, catalog, &people, Trigger::Subscription, self.now).await?;
        let members = people.into_iter().map(|(member_id, _)| member_id);
        Ok(members.zip(converged).collect())
    }
}
