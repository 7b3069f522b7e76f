//! What a run would do to people, by the functions that decide their roles; and whether it has to ask first.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    member_records::{MemberRecord, list_member_records, load_member_record},
    reconcile_findings::{Finding, add_effect, list_findings_of, list_people_concerned},
    reconcile_runs::Figures,
    subscriptions::StoredSubscription,
};
use rolecall_domain::{
    catalog::{Catalog, PlanSlug},
    ids::{MemberId, StripeSubscriptionId},
    reconcile::{
        difference::Terms,
        effect::{access_roles, effect},
        guard::{Census, Hold, holds, removal_limit},
    },
    standing::Standing,
    subscription::{Subscription, SubscriptionStatus},
};

use crate::{
    error::WorkError,
    reconcile::{Hands, Work, money::Money},
};

/// So many people are looked at in one transaction.
const PEOPLE: i64 = 100;

/// What the guard says.
pub(super) struct Assessed {
    pub(super) figures: Figures,
    pub(super) holds: Vec<Hold>,
}

/// Notes at each finding what it would change, and counts who would lose access.
pub(super) async fn assess(
    work: Work<'_>,
    mut figures: Figures,
    money: &Money,
) -> Result<Assessed, WorkError> {
    let mut after: Option<MemberId> = None;
    loop {
        let mut tx = work.ctx.db.begin().await?;
        let people = list_people_concerned(&mut tx, work.run.id, after, PEOPLE).await?;
        if people.is_empty() || work.keep(&mut tx).await? == Hands::Others {
            break;
        }
        let judge = Judge {
            work,
            money,
            catalog: work.ctx.catalog.load(&mut tx).await?,
            now: work.ctx.clock.now(),
        };
        for member_id in &people {
            figures.removals += u64::from(judge.loses_access(&mut tx, *member_id).await?);
        }
        tx.commit().await?;
        after = people.last().copied();
    }
    let chosen = work.ctx.max_removals;
    // Under a limit that nobody's number can lower there is no need to count everybody.
    if figures.removals > removal_limit(0, chosen) {
        figures.with_access = count_with_access(work).await?;
    }
    figures.removal_limit = removal_limit(figures.with_access, chosen);
    let census = Census {
        known: figures.known,
        listed: figures.listed,
        living: figures.living,
        named: figures.named,
        removals: figures.removals,
        with_access: figures.with_access,
    };
    Ok(Assessed {
        figures,
        holds: holds(&census, chosen),
    })
}

struct Judge<'a> {
    work: Work<'a>,
    money: &'a Money,
    catalog: Arc<Catalog>,
    now: DateTime<Utc>,
}

impl Judge<'_> {
    /// Whether a room would be closed to a person; what would change is noted at their findings.
    async fn loses_access(&self, conn: &mut Connection, member_id: MemberId) -> Result<bool, WorkError> {
        let findings = list_findings_of(conn, self.work.run.id, member_id).await?;
        let before = load_member_record(conn, member_id).await?;
        let mut after = before.clone();
        for finding in &findings {
            self.change(&mut after, finding, member_id)?;
        }
        self.change_money(&mut after, member_id);
        let grace = self.work.ctx.default_grace;
        let facts = |record: &MemberRecord| record.facts(&self.catalog, grace, self.now);
        let effect = effect(&facts(&before), &facts(&after), &self.catalog, self.now);
        add_effect(conn, self.work.run.id, member_id, &effect).await?;
        Ok(effect.removes_access)
    }

    /// Makes a person's record what it would be if a finding were mended.
    fn change(
        &self,
        record: &mut MemberRecord,
        finding: &Finding,
        member_id: MemberId,
    ) -> Result<(), WorkError> {
        let Ok(id) = finding.object_id.parse::<StripeSubscriptionId>() else {
            return Ok(());
        };
        let place = record
            .subscriptions
            .iter()
            .position(|stored| stored.facts.id == id);
        let kept = place.map(|place| record.subscriptions.remove(place));
        let owner = finding.other_member_id.or(finding.member_id);
        if owner != Some(member_id) {
            return Ok(());
        }
        let changed = match finding.their_terms()? {
            Some(theirs) => Some(self.as_stripe_says(id, kept.as_ref(), theirs)),
            // What Stripe does not know is over.
            None => kept.map(over),
        };
        record.subscriptions.extend(changed);
        Ok(())
    }

    /// Adds what a person bought once, and what became of their payments.
    fn change_money(&self, record: &mut MemberRecord, member_id: MemberId) {
        for (owner, purchase) in &self.money.purchases {
            if *owner != member_id {
                continue;
            }
            match record.purchases.iter_mut().find(|kept| kept.id == purchase.id) {
                Some(kept) => kept.paid = purchase.paid,
                None => record.purchases.push(purchase.clone()),
            }
        }
        for (payer, paid_for, payment) in &self.money.payments {
            if *payer == member_id {
                record.add_payment(paid_for.clone(), *payment);
            }
        }
    }

    fn as_stripe_says(
        &self,
        id: StripeSubscriptionId,
        kept: Option<&StoredSubscription>,
        theirs: Terms,
    ) -> StoredSubscription {
        let selling = self.catalog.plans_selling(&theirs.prices);
        let sold: Option<PlanSlug> = selling.first().map(|plan| plan.slug.clone());
        let same_prices = kept.filter(|kept| kept.prices == theirs.prices);
        let dated = kept.and_then(|kept| kept.facts.owed_since);
        let standing = kept.map_or(Standing::Pending, |kept| kept.standing);
        StoredSubscription {
            facts: Subscription {
                id,
                plan: sold.or_else(|| same_prices.and_then(|kept| kept.facts.plan.clone())),
                status: theirs.status,
                collection_paused: theirs.collection_paused,
                owed_since: theirs.owed_since.map(|owed_since| dated.unwrap_or(owed_since)),
                reversal: None,
                last_standing: Some(standing),
            },
            prices: theirs.prices,
            quantity: theirs.quantity,
            current_period_end: theirs.current_period_end,
            cancel_at_period_end: theirs.cancel_at_period_end,
            owed_invoice_url: None,
            had_access: kept.is_some_and(|kept| kept.had_access),
            standing,
            standing_since: kept.and_then(|kept| kept.standing_since),
        }
    }
}

fn over(mut kept: StoredSubscription) -> StoredSubscription {
    kept.facts.status = SubscriptionStatus::Canceled;
    kept.facts.owed_since = None;
    kept
}

/// Counts the people to whom some room is open now.
async fn count_with_access(work: Work<'_>) -> Result<u64, WorkError> {
    let (mut count, mut after) = (0, None);
    loop {
        let mut tx = work.ctx.db.begin().await?;
        let page = list_member_records(&mut tx, after, PEOPLE).await?;
        let catalog = work.ctx.catalog.load(&mut tx).await?;
        work.keep(&mut tx).await?;
        tx.commit().await?;
        let Some((last, _)) = page.last() else {
            return Ok(count);
        };
        after = Some(*last);
        let now = work.ctx.clock.now();
        for (_, record) in &page {
            let facts = record.facts(&catalog, work.ctx.default_grace, now);
            count += u64::from(!access_roles(&facts, &catalog, now).is_empty());
        }
    }
}
