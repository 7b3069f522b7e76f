//! The messages that follow from what a person holds: each becomes owed once, in the transaction of its
//! cause, and those that are not true any more are called off.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    notifications::{
        Channel, NewNotification, cancel_notifications, find_newest_notification, insert_notification,
        wants_direct_messages,
    },
};
use rolecall_domain::{
    catalog::Catalog,
    ids::{MemberId, NotificationId, StripeInvoiceId, StripeSubscriptionId},
    message::MessageKind,
    standing::StandingKind,
};

use crate::{
    converge::facts::{Derived, Owed},
    ctx::Ctx,
    error::WorkError,
    mail::MessageArgs,
    timing::HINT_OVERDUE,
};

/// The messages of one debt, in which a later one replaces an earlier one, and the one that ends them.
const OF_A_DEBT: [MessageKind; 5] = [
    MessageKind::PaymentFailed,
    MessageKind::GraceMidway,
    MessageKind::GraceLastDay,
    MessageKind::AccessRemoved,
    MessageKind::PaymentRecovered,
];

/// Owes what has to be told, and returns what became owed just now.
pub(super) async fn owe(
    conn: &mut Connection,
    ctx: &Ctx,
    member_id: MemberId,
    derived: &Derived,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Vec<NotificationId>, WorkError> {
    let mut desk = Desk {
        conn,
        ctx,
        member_id,
        now,
        owed: Vec::new(),
    };
    for holding in &derived.first_access {
        let args = MessageArgs {
            subscription: Some(holding.to_string()),
            ..MessageArgs::default()
        };
        let key = format!("welcome:{holding}");
        desk.insert(MessageKind::Welcome, Channel::Mail, &key, &args)
            .await?;
    }
    for owed in &derived.debts {
        desk.remind(owed, catalog).await?;
    }
    for (subscription, access) in &derived.settled {
        desk.settle(subscription, *access, catalog).await?;
    }
    Ok(desk.owed)
}

/// Owes the message that a bank waits for its customer, once for each invoice.
pub(crate) async fn owe_confirmation(
    conn: &mut Connection,
    ctx: &Ctx,
    member_id: MemberId,
    invoice: &StripeInvoiceId,
    args: &MessageArgs,
) -> Result<Vec<NotificationId>, WorkError> {
    let mut desk = Desk {
        conn,
        ctx,
        member_id,
        now: ctx.clock.now(),
        owed: Vec::new(),
    };
    let key = format!("{}:{invoice}", MessageKind::PaymentActionRequired);
    desk.owe_both_ways(MessageKind::PaymentActionRequired, &key, args)
        .await?;
    Ok(desk.owed)
}

/// Owes the message that a trial has ended before its time, once for each subscription.
pub(crate) async fn owe_end_of_trial(
    conn: &mut Connection,
    ctx: &Ctx,
    member_id: MemberId,
    subscription: &StripeSubscriptionId,
    args: &MessageArgs,
) -> Result<Vec<NotificationId>, WorkError> {
    let mut desk = Desk {
        conn,
        ctx,
        member_id,
        now: ctx.clock.now(),
        owed: Vec::new(),
    };
    let key = format!("{}:{subscription}", MessageKind::TrialEnded);
    desk.owe_both_ways(MessageKind::TrialEnded, &key, args).await?;
    Ok(desk.owed)
}

/// One person's messages within one transaction.
struct Desk<'a> {
    conn: &'a mut Connection,
    ctx: &'a Ctx,
    member_id: MemberId,
    now: DateTime<Utc>,
    owed: Vec<NotificationId>,
}

impl Desk<'_> {
    /// Owes the message about a debt that is right now, unless it was owed before.
    async fn remind(&mut self, owed: &Owed, catalog: &Catalog) -> Result<(), WorkError> {
        let rule = catalog.rule(owed.plan.as_ref(), owed.standing.kind());
        let Some(kind) = owed.debt.message(self.now).filter(|_| rule.message) else {
            return Ok(());
        };
        let plan = owed.plan.as_ref().and_then(|slug| catalog.plans.get(slug));
        let args = MessageArgs {
            subscription: Some(owed.subscription.to_string()),
            plan: plan.map(|plan| plan.name.clone()),
            pay_url: owed.pay_url.clone(),
            until: Some(owed.debt.until),
            since: Some(owed.debt.since),
        };
        self.owe_both_ways(kind, &debt_key(kind, &args), &args).await
    }

    /// Calls off what was still to be said about a debt, and tells that it is paid if it was spoken of.
    async fn settle(
        &mut self,
        subscription: &StripeSubscriptionId,
        access: bool,
        catalog: &Catalog,
    ) -> Result<(), WorkError> {
        let subject = subscription.as_str();
        let said = find_newest_notification(self.conn, self.member_id, subject, &OF_A_DEBT).await?;
        cancel_notifications(self.conn, self.member_id, subject, &OF_A_DEBT).await?;
        let Some((kind, args)) = said else { return Ok(()) };
        let tells = catalog.rule(None, StandingKind::Active).message;
        if kind == MessageKind::PaymentRecovered || !access || !tells {
            return Ok(());
        }
        // A message that this version cannot read is no reason to hold up anybody's roles.
        let args: MessageArgs = serde_json::from_value(args).unwrap_or_default();
        let args = MessageArgs {
            subscription: Some(subject.to_owned()),
            pay_url: None,
            until: None,
            ..args
        };
        let key = debt_key(MessageKind::PaymentRecovered, &args);
        self.owe_both_ways(MessageKind::PaymentRecovered, &key, &args)
            .await
    }

    /// Owes a message by mail, and by Discord if the person wants that.
    async fn owe_both_ways(
        &mut self,
        kind: MessageKind,
        key: &str,
        args: &MessageArgs,
    ) -> Result<(), WorkError> {
        if !self.insert(kind, Channel::Mail, key, args).await? {
            return Ok(());
        }
        if wants_direct_messages(self.conn, self.member_id).await? {
            self.insert(kind, Channel::Discord, &format!("{key}:discord"), args)
                .await?;
        }
        Ok(())
    }

    /// Whether the message was not owed before.
    async fn insert(
        &mut self,
        kind: MessageKind,
        channel: Channel,
        dedup_key: &str,
        args: &MessageArgs,
    ) -> Result<bool, WorkError> {
        let id = NotificationId::generate(self.now, &*self.ctx.rng);
        let new = NewNotification {
            id,
            member_id: self.member_id,
            kind,
            channel,
            dedup_key,
            args: args.to_json(),
            send_at: self.now + HINT_OVERDUE,
        };
        let owed = insert_notification(self.conn, &new, self.now).await?;
        if owed {
            self.owed.push(id);
        }
        Ok(owed)
    }
}

/// What makes a message about a debt the same: the subscription, and when the debt began.
fn debt_key(kind: MessageKind, args: &MessageArgs) -> String {
    let subscription = args.subscription.as_deref().unwrap_or_default();
    let since = args.since.map(|since| since.timestamp()).unwrap_or_default();
    format!("{kind}:{subscription}:{since}")
}
