//! The one convergent path: facts, standing, desired roles, difference, and the commands that are owed.
//!
//! Every trigger comes through here, inside the transaction that wrote its cause. What is owed to the
//! outside is written as due rows; [`Converged`] holds the hints that are sent after the commit.

pub mod command;
mod facts;
mod guild;
pub(crate) mod messages;
mod picture;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    members::{Owed, defer_member, lock_member, set_converged},
};
use rolecall_domain::{
    catalog::Catalog,
    ids::{GuildId, MemberId, NotificationId},
    roles::{departures, desired_roles},
    trigger::Trigger,
};
use rolecall_queue::jobs::{ApplyRoles, Lane};
use std::collections::BTreeSet;

use crate::{
    converge::{guild::Visit, picture::Breakers},
    ctx::Ctx,
    error::WorkError,
};

/// How long a person waits whose convergence failed in a sweep.
const PUT_OFF: TimeDelta = TimeDelta::minutes(5);

/// What a convergence leaves to be told after the commit.
#[derive(Debug, Default)]
pub struct Converged {
    /// The person.
    pub member_id: Option<MemberId>,
    /// Role commands that became due.
    pub commands: Vec<ApplyRoles>,
    /// Messages that became due.
    pub notifications: Vec<NotificationId>,
}

/// Why, and with what urgency, a person is converged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause {
    pub(crate) trigger: Trigger,
    pub(crate) join: bool,
    pub(crate) forced: bool,
}

impl Cause {
    /// The cause at hand together with those that were waiting.
    fn of(trigger: Trigger, owed: Owed) -> Self {
        // A sweep only carries out what somebody else gave cause to.
        let named = if trigger == Trigger::Sweep {
            owed.trigger.unwrap_or(trigger)
        } else {
            trigger
        };
        Self {
            trigger: named,
            join: owed.join || trigger.wants_join(),
            forced: owed.forced || trigger.is_forced(),
        }
    }

    pub(crate) fn lane(self) -> Lane {
        if self.trigger.is_bulk() && !self.join {
            Lane::Bulk
        } else {
            Lane::Now
        }
    }
}

/// Works out what a person should have and writes what is owed for it. Nobody: nothing.
pub async fn converge(
    conn: &mut Connection,
    ctx: &Ctx,
    member_id: MemberId,
    trigger: Trigger,
    now: DateTime<Utc>,
) -> Result<Converged, WorkError> {
    let Some(owed) = lock_member(conn, member_id).await? else {
        return Ok(Converged::default());
    };
    let catalog = ctx.catalog.load(conn).await?;
    let mut converged = converge_locked(conn, ctx, &catalog, &[(member_id, owed)], trigger, now).await?;
    Ok(converged.pop().unwrap_or_default())
}

/// The same for people who were locked in this transaction, each with what is owed to them, by the catalog as it was
/// read after that: whoever changes it makes everybody's convergence due.
pub async fn converge_locked(
    conn: &mut Connection,
    ctx: &Ctx,
    catalog: &Catalog,
    people: &[(MemberId, Owed)],
    trigger: Trigger,
    now: DateTime<Utc>,
) -> Result<Vec<Converged>, WorkError> {
    let members: Vec<MemberId> = people.iter().map(|(member_id, _)| *member_id).collect();
    let mut pictures = picture::load(conn, &members).await?;
    let mut breakers = Breakers::default();
    let mut all: Vec<Converged> = Vec::with_capacity(people.len());
    let (mut steps, mut whose) = (Vec::new(), Vec::new());
    for (member_id, owed) in people {
        let picture = pictures.remove(member_id).unwrap_or_default();
        let mut cause = Cause::of(trigger, *owed);
        let facts = facts::derive(conn, picture.record, catalog, ctx.default_grace, now).await?;
        // Who has just got their first access wants to be in: they linked their account for it.
        cause.join |= !facts.first_access.is_empty();
        let mut converged = Converged {
            member_id: Some(*member_id),
            ..Converged::default()
        };
        converged.notifications = messages::owe(conn, ctx, *member_id, &facts, catalog, now).await?;
        if let Some(account) = &picture.account {
            let mut desired = desired_roles(&facts.facts, catalog, now);
            let departures = departures(&facts.facts, catalog, &desired, now);
            let mut rows = picture.rows;
            let guilds: BTreeSet<GuildId> = desired.keys().chain(rows.keys()).copied().collect();
            for guild_id in guilds {
                let visit = Visit {
                    guild_id,
                    account,
                    departure: departures.get(&guild_id),
                    cause,
                    now,
                };
                let wanted = desired.remove(&guild_id).unwrap_or_default();
                let row = rows.remove(&guild_id);
                if let Some(step) = visit.converge(conn, row, wanted, &mut breakers).await? {
                    steps.push(step);
                    whose.push(all.len());
                }
            }
        }
        if owed.is_due || owed.next_change_at != facts.next_change_at {
            set_converged(conn, *member_id, facts.next_change_at).await?;
        }
        all.push(converged);
    }
    let commands = guild::write(conn, steps, &mut breakers, now, &*ctx.rng).await?;
    for (person, command) in whose.into_iter().zip(commands) {
        if let Some(converged) = all.get_mut(person) {
            converged.commands.extend(command);
        }
    }
    Ok(all)
}

/// Converges a person in a transaction of its own, and tells what follows.
pub async fn converge_now(ctx: &Ctx, member_id: MemberId, trigger: Trigger) -> Result<(), WorkError> {
    let mut tx = ctx.db.begin().await?;
    let converged = converge(&mut tx, ctx, member_id, trigger, ctx.clock.now()).await?;
    tx.commit().await?;
    ctx.tell(converged).await;
    Ok(())
}

/// Converges everybody of a list. A failure is one person's alone: they are put off, and the others
/// have their turn; only an outage stops them all.
pub async fn converge_each(ctx: &Ctx, members: &[MemberId], trigger: Trigger) -> Result<usize, WorkError> {
    let mut done = 0;
    for member_id in members {
        match converge_now(ctx, *member_id, trigger).await {
            Ok(()) => done += 1,
            Err(WorkError::Db(error)) if error.is_outage() => return Err(error.into()),
            Err(error) => {
                tracing::error!(member.id = %member_id, %error, "a person could not be converged; tried again later");
                let now = ctx.clock.now();
                let mut tx = ctx.db.begin().await?;
                defer_member(&mut tx, *member_id, now, now + PUT_OFF).await?;
                tx.commit().await?;
            }
        }
    }
    Ok(done)
}
