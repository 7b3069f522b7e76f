//! One page of Stripe's list beside what is kept.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    reconcile_findings::{FindingState, NewFinding, insert_finding},
    reconcile_views::{KnownSubscription, list_known_subscriptions},
};
use rolecall_domain::{
    catalog::Catalog,
    ids::StripeSubscriptionId,
    reconcile::difference::{Difference, FindingKind, Terms, differences, price_without_plan},
};
use serde_json::json;

use crate::{
    error::WorkError,
    reconcile::{
        Work,
        theirs::{Theirs, find_owners},
    },
};

/// Compares a page that was asked for after `asked_at`, and keeps what is not as it should be.
pub(super) async fn compare(
    conn: &mut Connection,
    work: Work<'_>,
    mut page: Vec<Theirs>,
    asked_at: DateTime<Utc>,
) -> Result<(), WorkError> {
    find_owners(conn, &mut page).await?;
    let catalog = work.ctx.catalog.load(conn).await?;
    let ids: Vec<&StripeSubscriptionId> = page.iter().map(|theirs| &theirs.id).collect();
    let known: BTreeMap<StripeSubscriptionId, KnownSubscription> = list_known_subscriptions(conn, &ids)
        .await?
        .into_iter()
        .map(|known| (known.id.clone(), known))
        .collect();
    for theirs in &page {
        let ours = known.get(&theirs.id);
        // What was read meanwhile may be newer than the page.
        if ours.is_some_and(|ours| ours.read_started_at > asked_at) {
            continue;
        }
        if let Some(finding) = finding(ours, theirs, &catalog) {
            insert_finding(conn, work.run.id, &finding).await?;
        }
    }
    Ok(())
}

/// Keeps that a subscription is not known to Stripe, or not to its list.
pub(super) async fn keep_absent(
    conn: &mut Connection,
    work: Work<'_>,
    id: &StripeSubscriptionId,
    kind: FindingKind,
) -> Result<(), WorkError> {
    let Some(ours) = list_known_subscriptions(conn, &[id]).await?.pop() else {
        return Ok(());
    };
    let finding = NewFinding {
        object_id: id.as_str().to_owned(),
        kind,
        reason: match kind {
            FindingKind::NotListed => format!(
                "{}: {} here; it is asked for alone before anything is changed",
                kind.words(),
                ours.terms.status.as_str()
            ),
            _ => format!(
                "{}: {} here, and neither in Stripe's list nor found alone",
                kind.words(),
                ours.terms.status.as_str()
            ),
        },
        member_id: ours.terms.member_id,
        other_member_id: None,
        ours: Some(json!(ours.terms)),
        theirs: None,
        state: FindingState::Open,
    };
    Ok(insert_finding(conn, work.run.id, &finding).await?)
}

/// What is not as it should be with a subscription that Stripe has.
fn finding(ours: Option<&KnownSubscription>, theirs: &Theirs, catalog: &Catalog) -> Option<NewFinding> {
    let mut found = match ours {
        Some(ours) => differences(&ours.terms, &theirs.terms),
        None => vec![missing(&theirs.terms)],
    };
    // A price that the plans file no longer names keeps the plan it was bought for.
    let keeps_plan = ours.is_some_and(|ours| ours.plan.is_some() && ours.terms.prices == theirs.terms.prices);
    if !keeps_plan {
        found.extend(price_without_plan(&theirs.terms, catalog));
    }
    let kind = found.first()?.kind;
    let words: Vec<&str> = found.iter().map(|difference| difference.words.as_str()).collect();
    let here = ours.and_then(|ours| ours.terms.member_id);
    let there = theirs.terms.member_id;
    Some(NewFinding {
        object_id: theirs.id.as_str().to_owned(),
        kind,
        reason: words.join("; "),
        member_id: here.or(there),
        other_member_id: there.filter(|_| here.is_some() && here != there),
        ours: ours.map(|ours| json!(ours.terms)),
        theirs: Some(json!(theirs.terms)),
        state: if found
            .iter()
            .any(|difference| difference.kind.is_mended_by_reading())
        {
            FindingState::Open
        } else {
            FindingState::Noted
        },
    })
}

fn missing(theirs: &Terms) -> Difference {
    let kind = FindingKind::MissingHere;
    let words = format!("{}: {} at Stripe", kind.words(), theirs.status.as_str());
    Difference { kind, words }
}
