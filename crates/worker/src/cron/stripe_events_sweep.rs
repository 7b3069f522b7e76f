//! `stripe_events_sweep`: events that no webhook brought are taken in from Stripe's own list.
//!
//! All that Stripe lists is compared with the inbox, not only what it could not deliver: an event that we
//! answered with 200 may have gone with Redis' memory, and for a disabled endpoint there was no delivery.
//! An event that is still on its way through Redis is found missing too; whoever comes second changes nothing.
//! What was taken in waits in the inbox for whoever has room, so that a flood of it overtakes nobody.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    event_sweeps::{find_swept_to, insert_missing_events, list_known_events, set_swept_to},
    inbox::NewInboxEvent,
};
use rolecall_domain::ids::StripeEventId;
use rolecall_stripe::{
    client::events::{EventCursor, EventFilter, ListedEvent},
    event::{EventEnvelope, subjects},
    types::page::Page,
};
use serde_json::value::RawValue;

use crate::{ctx::Ctx, error::WorkError};

/// What was compared is compared again for so long: an event may appear in the list later than younger ones.
const OVERLAP: TimeDelta = TimeDelta::hours(1);

/// A gap is closed by pieces of this length, the oldest first, and each is noted when it is done: whatever
/// ends the run, the next one goes on from there.
const STRETCH: TimeDelta = TimeDelta::days(1);

/// Stripe lists nothing older.
pub(super) const KEPT_BY_STRIPE: TimeDelta = TimeDelta::days(30);

/// Compares what is new in Stripe's list, or all of it: the first time, and if somebody asks for it by hand.
/// Times here are Stripe's: what is to be swept next does not depend on our clock.
pub(super) async fn run(ctx: &Ctx, all: bool) -> Result<String, WorkError> {
    let mut tally = Tally::default();
    let swept = sweep(ctx, all, &mut tally).await;
    ctx.metrics
        .swept_events
        .inc_by(u64::try_from(tally.taken_in).unwrap_or(u64::MAX));
    if tally.taken_in > 0 {
        tracing::info!(
            events.taken_in = tally.taken_in,
            "events that no webhook had brought were taken in"
        );
    }
    swept.map(|()| tally.to_string())
}

async fn sweep(ctx: &Ctx, all: bool, tally: &mut Tally) -> Result<(), WorkError> {
    let since = if all { None } else { swept_to(ctx).await? };
    let filter = EventFilter {
        created_since: since.map(|swept_to| swept_to - OVERLAP),
        ..EventFilter::default()
    };
    let first = ctx.stripe.list_events(&filter, &EventCursor::Newest).await?;
    let Some(newest) = newest(&first) else {
        return Ok(());
    };
    let oldest = newest - KEPT_BY_STRIPE;
    let since = filter.created_since.map_or(oldest, |since| since.max(oldest));
    let is_whole_list = filter.created_since.is_none() && !first.has_more;
    if is_whole_list || newest - since <= STRETCH {
        walk(ctx, &filter, first, tally).await?;
        return note(ctx, newest).await;
    }
    drop(first);
    for stretch in stretches(since, newest) {
        let page = ctx.stripe.list_events(&stretch, &EventCursor::Newest).await?;
        walk(ctx, &stretch, page, tally).await?;
        note(ctx, stretch.created_before.unwrap_or(newest)).await?;
    }
    Ok(())
}

/// Up to when all has been compared; `None` before the first time.
async fn swept_to(ctx: &Ctx) -> Result<Option<DateTime<Utc>>, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let swept_to = find_swept_to(&mut tx, ctx.livemode).await?;
    tx.commit().await?;
    Ok(swept_to)
}

fn newest(page: &Page<ListedEvent>) -> Option<DateTime<Utc>> {
    let times = page.data.iter().filter_map(|event| event.envelope().ok());
    times.map(|envelope| envelope.created).max()
}

/// The time from `since` on in pieces, the oldest first. The last one is open: it ends with the newest event.
fn stretches(since: DateTime<Utc>, newest: DateTime<Utc>) -> impl Iterator<Item = EventFilter> {
    let begins = std::iter::successors(Some(since), |begin| Some(*begin + STRETCH));
    begins
        .take_while(move |begin| *begin <= newest)
        .map(move |begin| EventFilter {
            created_since: Some(begin),
            created_before: Some(begin + STRETCH).filter(|end| *end <= newest),
            types: Vec::new(),
        })
}

/// Notes how far everything has been compared.
async fn note(ctx: &Ctx, swept_to: DateTime<Utc>) -> Result<(), WorkError> {
    let mut tx = ctx.db.begin().await?;
    set_swept_to(&mut tx, ctx.livemode, swept_to).await?;
    tx.commit().await?;
    Ok(())
}

/// Compares a page and all older ones of the filter, one at a time.
async fn walk(
    ctx: &Ctx,
    filter: &EventFilter,
    mut page: Page<ListedEvent>,
    tally: &mut Tally,
) -> Result<(), WorkError> {
    loop {
        let last = compare(ctx, page.data, tally).await?;
        if !page.has_more {
            return Ok(());
        }
        let Some(last) = last else {
            let message = "Stripe says there are more events, and gave none to go on from";
            return Err(WorkError::Unusable(message.to_owned()));
        };
        page = ctx
            .stripe
            .list_events(filter, &EventCursor::OlderThan(last))
            .await?;
    }
}

/// An event that hints at something of ours.
struct Listed {
    envelope: EventEnvelope,
    payload: Box<RawValue>,
}

/// Takes in what the inbox lacks of one page. Returns the last event of the page.
async fn compare(
    ctx: &Ctx,
    page: Vec<ListedEvent>,
    tally: &mut Tally,
) -> Result<Option<StripeEventId>, WorkError> {
    let mut last = None;
    let mut concerning = Vec::with_capacity(page.len());
    for event in page {
        tally.listed += 1;
        let Ok(envelope) = event.envelope() else {
            tally.unreadable += 1;
            continue;
        };
        last = Some(envelope.id.clone());
        let payload = event.into_payload();
        if envelope.livemode != ctx.livemode {
            tally.other_mode += 1;
        } else if subjects(payload.get()).is_ok_and(|subjects| !subjects.is_empty()) {
            concerning.push(Listed { envelope, payload });
        }
    }
    take_in(ctx, concerning, tally).await?;
    Ok(last)
}

async fn take_in(ctx: &Ctx, mut events: Vec<Listed>, tally: &mut Tally) -> Result<(), WorkError> {
    let ids: Vec<&StripeEventId> = events.iter().map(|event| &event.envelope.id).collect();
    let mut tx = ctx.db.begin().await?;
    let known: BTreeSet<StripeEventId> = list_known_events(&mut tx, &ids).await?.into_iter().collect();
    tx.commit().await?;
    events.retain(|event| !known.contains(&event.envelope.id));
    if events.is_empty() {
        return Ok(());
    }
    tally.missing += events.len();
    // Nobody holds them.
    let next_attempt_at = ctx.clock.now();
    let new: Vec<NewInboxEvent<'_>> = events
        .iter()
        .map(|event| NewInboxEvent {
            id: &event.envelope.id,
            kind: &event.envelope.event_type,
            livemode: event.envelope.livemode,
            occurred_at: event.envelope.created,
            payload: &event.payload,
            next_attempt_at,
        })
        .collect();
    let mut tx = ctx.db.begin().await?;
    let taken_in = insert_missing_events(&mut tx, &new).await?;
    tx.commit().await?;
    tally.taken_in += taken_in.len();
    Ok(())
}

/// What a run has seen.
#[derive(Debug, Default)]
struct Tally {
    listed: usize,
    missing: usize,
    taken_in: usize,
    other_mode: usize,
    unreadable: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listed,
            missing,
            taken_in,
            ..
        } = self;
        write!(
            f,
            "{listed} events listed, {missing} missing, {taken_in} taken in"
        )?;
        if self.other_mode > 0 {
            write!(f, ", {} of the other mode", self.other_mode)?;
        }
        if self.unreadable > 0 {
            write!(f, ", {} unreadable", self.unreadable)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn pieces(since: i64, newest: i64) -> Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> {
        stretches(at(since), at(newest))
            .map(|stretch| (stretch.created_since.unwrap(), stretch.created_before))
            .collect()
    }

    #[test]
    fn the_pieces_of_a_gap_leave_nothing_out_and_the_last_one_is_open() {
        assert_eq!(pieces(0, 0), [(at(0), None)]);
        assert_eq!(pieces(0, 23), [(at(0), None)]);
        // An event of that very moment lies in the piece that begins with it.
        assert_eq!(pieces(0, 24), [(at(0), Some(at(24))), (at(24), None)]);
        assert_eq!(
            pieces(1, 60),
            [(at(1), Some(at(25))), (at(25), Some(at(49))), (at(49), None)]
        );
    }

    #[test]
    fn a_run_tells_what_it_saw() {
        let mut tally = Tally {
            listed: 240,
            missing: 3,
            taken_in: 2,
            ..Tally::default()
        };
        assert_eq!(tally.to_string(), "240 events listed, 3 missing, 2 taken in");
        (tally.other_mode, tally.unreadable) = (1, 4);
        assert_eq!(
            tally.to_string(),
            "240 events listed, 3 missing, 2 taken in, 1 of the other mode, 4 unreadable"
        );
    }
}
