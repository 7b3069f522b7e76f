//! The reading: every page of Stripe's list, one in memory at a time, and then what the list did not name.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use rolecall_db::{
    inbox::database_time,
    reconcile_findings::delete_findings,
    reconcile_runs::Figures,
    reconcile_views::{count_known_subscriptions, list_living_subscriptions},
};
use rolecall_domain::{
    ids::StripeSubscriptionId,
    reconcile::{difference::FindingKind, guard::is_short},
};
use rolecall_stripe::{
    client::subscriptions::SubscriptionFilter,
    error::StripeError,
    types::{page::Page, subscription::Subscription},
};

use crate::{
    error::WorkError,
    reconcile::{
        Hands, Work,
        compare::{compare, keep_absent},
        theirs::Theirs,
    },
};

/// So many of those that the list did not name are looked up at a time.
const ABSENT: i64 = 200;

/// So many reads of single subscriptions are under way at once; the client keeps the pace.
const READS_AT_ONCE: usize = 8;

/// Reads everything. `None` if somebody else has taken the run over meanwhile.
pub(super) async fn read(work: Work<'_>) -> Result<Option<Figures>, WorkError> {
    let mut tx = work.ctx.db.begin().await?;
    // Whoever took the run over meanwhile has found things of their own.
    if work.keep(&mut tx).await? == Hands::Others {
        return Ok(None);
    }
    // Of a reading that was cut off nothing counts.
    delete_findings(&mut tx, work.run.id).await?;
    let known = count_known_subscriptions(&mut tx, work.ctx.livemode).await?;
    let began_at = database_time(&mut tx).await?;
    tx.commit().await?;
    let mut reading = Reading {
        work,
        asked_at: began_at,
        seen: HashSet::new(),
        figures: Figures {
            known: u64::try_from(known).unwrap_or_default(),
            ..Figures::default()
        },
    };
    if reading.walk().await? == Hands::Others || reading.look_for_absent(began_at).await? == Hands::Others {
        return Ok(None);
    }
    Ok(Some(reading.figures))
}

struct Reading<'a> {
    work: Work<'a>,
    /// A moment before the next question, by the database's clock.
    asked_at: DateTime<Utc>,
    seen: HashSet<StripeSubscriptionId>,
    figures: Figures,
}

impl Reading<'_> {
    /// Compares every page of the list.
    async fn walk(&mut self) -> Result<Hands, WorkError> {
        let filter = SubscriptionFilter::default();
        let mut after: Option<StripeSubscriptionId> = None;
        loop {
            let page = self
                .work
                .ctx
                .stripe
                .list_subscriptions(&filter, after.as_ref())
                .await?;
            let has_more = page.has_more;
            after = self.note(&page)?;
            if self.compare(&page.data).await? == Hands::Others {
                return Ok(Hands::Others);
            }
            if !has_more {
                return Ok(Hands::Ours);
            }
            if after.is_none() {
                let message = "Stripe says there are more subscriptions, and gave none to go on from";
                return Err(WorkError::Unusable(message.to_owned()));
            }
        }
    }

    /// Notes what a page named, and returns the last of it. A list never names anything twice.
    fn note(&mut self, page: &Page<Subscription>) -> Result<Option<StripeSubscriptionId>, WorkError> {
        for subscription in &page.data {
            if !self.seen.insert(subscription.id.clone()) {
                return Err(WorkError::Unusable(format!(
                    "Stripe's list of subscriptions goes round in circles: it named {} twice",
                    subscription.id
                )));
            }
        }
        self.figures.listed += u64::try_from(page.data.len()).unwrap_or_default();
        Ok(page.data.last().map(|subscription| subscription.id.clone()))
    }

    async fn compare(&mut self, page: &[Subscription]) -> Result<Hands, WorkError> {
        let now = self.work.ctx.clock.now();
        let page = page
            .iter()
            .map(|subscription| Theirs::of(subscription, now))
            .collect();
        let mut tx = self.work.ctx.db.begin().await?;
        let hands = self.work.keep(&mut tx).await?;
        if hands == Hands::Ours {
            compare(&mut tx, self.work, page, self.asked_at).await?;
            self.asked_at = database_time(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(hands)
    }

    /// Looks for what we know and the list did not name. Where it lacks so much that the run is held anyway,
    /// Stripe is not asked thousands of questions: whatever is changed later is asked for alone first.
    async fn look_for_absent(&mut self, began_at: DateTime<Utc>) -> Result<Hands, WorkError> {
        let short = is_short(self.figures.listed, self.figures.known);
        let mut after: Option<StripeSubscriptionId> = None;
        loop {
            let mut tx = self.work.ctx.db.begin().await?;
            let hands = self.work.keep(&mut tx).await?;
            let livemode = self.work.ctx.livemode;
            let ids = list_living_subscriptions(&mut tx, livemode, began_at, after.as_ref(), ABSENT).await?;
            self.asked_at = database_time(&mut tx).await?;
            tx.commit().await?;
            if ids.is_empty() || hands == Hands::Others {
                return Ok(hands);
            }
            after = ids.last().cloned();
            let (named, absent): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| self.seen.contains(id));
            self.figures.named += u64::try_from(named.len()).unwrap_or_default();
            self.figures.living += u64::try_from(named.len() + absent.len()).unwrap_or_default();
            if short {
                self.keep_absent(&absent, FindingKind::NotListed).await?;
            } else {
                self.ask_for(absent).await?;
            }
        }
    }

    /// Asks for each alone.
    async fn ask_for(&mut self, absent: Vec<StripeSubscriptionId>) -> Result<(), WorkError> {
        let stripe = &self.work.ctx.stripe;
        let answers: Vec<(StripeSubscriptionId, Option<Subscription>)> = stream::iter(absent)
            .map(|id| async move {
                match stripe.get_subscription(&id).await {
                    Ok(subscription) => Ok((id, Some(subscription))),
                    Err(StripeError::NotFound { .. }) => Ok((id, None)),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let (mut there, mut unknown) = (Vec::new(), Vec::new());
        for (id, answer) in answers {
            match answer {
                Some(subscription) => there.push(subscription),
                None => unknown.push(id),
            }
        }
        self.figures.unlisted += u64::try_from(there.len()).unwrap_or_default();
        self.compare(&there).await?;
        self.keep_absent(&unknown, FindingKind::UnknownAtStripe).await
    }

    async fn keep_absent(&self, absent: &[StripeSubscriptionId], kind: FindingKind) -> Result<(), WorkError> {
        let mut tx = self.work.ctx.db.begin().await?;
        for id in absent {
            keep_absent(&mut tx, self.work, id, kind).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
