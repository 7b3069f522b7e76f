//! The full sweep: everything that Stripe has is compared with everything that is kept.
//!
//! A run stands in the database with what it found, so that whoever takes it up goes on where the last one
//! ended. It reads first, all of it, and mends only then; what it mends goes the way of every event.

mod apply;
mod assess;
mod compare;
mod money;
mod read;
mod theirs;
mod unknown;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    reconcile_findings::count_findings,
    reconcile_runs::{
        Figures, NewRun, NextState, Run, RunState, Scope, claim_reconcile_run, find_reconcile_run,
        insert_reconcile_run, list_abandoned_reconcile_runs, renew_reconcile_claim, set_reconcile_state,
    },
};
use rolecall_domain::{clock::random_bytes, ids::uuid_v7, reconcile::guard::Hold};
use rolecall_queue::jobs::Reconcile;
use uuid::Uuid;

use crate::{
    ctx::Ctx,
    error::{WorkError, in_one_line},
    timing::HINT_OVERDUE,
};

/// A worker that works on a run says so at least this often, or it is taken for dead. One that was only slow
/// does no harm: whatever two of them do is done once.
const CLAIM: TimeDelta = TimeDelta::seconds(45);

/// So many forgotten runs are hinted at in one sweep.
const HINTS: i64 = 20;

/// Asks for a run on behalf of the clock.
pub(crate) async fn request(ctx: &Ctx, requested_by: &str) -> Result<Uuid, WorkError> {
    let now = ctx.clock.now();
    let run = NewRun {
        id: uuid_v7(now, &*ctx.rng),
        scope: Scope::Stripe,
        dry_run: false,
        requested_by,
        approved: false,
    };
    let mut tx = ctx.db.begin().await?;
    insert_reconcile_run(&mut tx, &run, now).await?;
    tx.commit().await?;
    Ok(run.id)
}

/// Sends hints at runs that nobody works on.
pub(crate) async fn hint_abandoned(ctx: &Ctx) -> Result<usize, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let runs = list_abandoned_reconcile_runs(&mut tx, now - HINT_OVERDUE, now, HINTS).await?;
    tx.commit().await?;
    for run_id in &runs {
        ctx.hint(&Reconcile { run_id: *run_id }).await;
    }
    Ok(runs.len())
}

/// Works on a run as far as it comes, unless somebody else does. Returns what became of it.
pub async fn work_on(ctx: &Ctx, run_id: Uuid) -> Result<Option<Run>, WorkError> {
    let now = ctx.clock.now();
    // This process may have taken the run up before, and still be at it.
    let claim = format!(
        "{}/{:016x}",
        ctx.name,
        u64::from_be_bytes(random_bytes(&*ctx.rng))
    );
    let mut tx = ctx.db.begin().await?;
    let claimed = claim_reconcile_run(&mut tx, run_id, &claim, now, now + CLAIM).await?;
    tx.commit().await?;
    let Some(run) = claimed else {
        return Ok(None);
    };
    let work = Work {
        ctx,
        run: &run,
        claim: &claim,
    };
    let carried = tokio::select! {
        biased;
        carried = work.carry_on() => carried,
        () = ctx.stop.cancelled() => work.let_go().await,
    };
    match carried {
        Ok(()) => {}
        // Nobody can say anything to a database that is away; the run is taken up again after its claim.
        Err(WorkError::Db(error)) if error.is_outage() => return Err(error.into()),
        Err(error) => work.fail(&error).await?,
    }
    let mut tx = ctx.db.begin().await?;
    let run = find_reconcile_run(&mut tx, run_id).await?;
    tx.commit().await?;
    Ok(run)
}

/// What a run came to, in one line.
pub(crate) fn in_words(run: &Run) -> String {
    let figures = run.figures;
    let seen = format!(
        "{} subscriptions listed, {} known, {} findings",
        figures.listed, figures.known, figures.findings
    );
    match run.state {
        RunState::Held => format!("held: {}; {seen}", run.hold_reasons.join("; ")),
        RunState::Failed => format!("failed: {}", run.error.as_deref().unwrap_or("unknown")),
        RunState::Reading | RunState::Applying => format!("left to whoever takes it up next; {seen}"),
        _ => format!(
            "{seen}: {} mended, {} for the owner, {} failed",
            figures.applied, figures.noted, figures.failed
        ),
    }
}

/// A run in the hands of whoever claimed it.
#[derive(Clone, Copy)]
struct Work<'a> {
    ctx: &'a Ctx,
    run: &'a Run,
    /// The name under which the run was claimed, this time.
    claim: &'a str,
}

/// Whether the run is still ours to work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hands {
    Ours,
    Others,
}

impl Work<'_> {
    async fn carry_on(self) -> Result<(), WorkError> {
        let mut figures = self.run.figures;
        if self.run.state == RunState::Reading {
            let Some(read) = read::read(self).await? else {
                return Ok(());
            };
            let Some(money) = money::compare_money(self).await? else {
                return Ok(());
            };
            let figures_read = Figures {
                purchases: money.purchases_seen,
                payments: money.payments_seen,
                ..read
            };
            let assessed = assess::assess(self, self.count(figures_read).await?, &money).await?;
            figures = assessed.figures;
            if self.decide(&figures, &assessed.holds).await? != RunState::Applying {
                return Ok(());
            }
        }
        apply::apply(self, figures).await
    }

    /// What comes after the reading.
    async fn decide(self, figures: &Figures, holds: &[Hold]) -> Result<RunState, WorkError> {
        let reasons: Vec<String> = holds.iter().map(Hold::to_string).collect();
        let nothing_due = figures.findings == figures.noted;
        let state = if self.run.dry_run || nothing_due && holds.is_empty() {
            RunState::Done
        } else if !holds.is_empty() && self.run.approved_by.is_none() {
            RunState::Held
        } else {
            RunState::Applying
        };
        self.come_to(state, figures, &reasons, None).await?;
        if state == RunState::Held {
            tracing::error!(
                reconcile.run_id = %self.run.id, reasons = reasons.join("; "), findings = figures.findings,
                "a sweep of Stripe is held and has changed nothing; look at it with `rolecall reconcile --dry-run`, \
                 and say yes with `rolecall reconcile --yes`"
            );
        } else {
            tracing::info!(
                reconcile.run_id = %self.run.id, listed = figures.listed, findings = figures.findings,
                "Stripe was compared with what is kept"
            );
        }
        Ok(state)
    }

    async fn fail(self, error: &WorkError) -> Result<(), WorkError> {
        let error = in_one_line(error);
        tracing::error!(reconcile.run_id = %self.run.id, %error, "a sweep of Stripe failed; what it had not mended is as it was");
        let figures = self.count(self.run.figures).await?;
        self.come_to(RunState::Failed, &figures, &self.run.hold_reasons, Some(&error))
            .await?;
        Ok(())
    }

    async fn come_to(
        self,
        state: RunState,
        figures: &Figures,
        hold_reasons: &[String],
        error: Option<&str>,
    ) -> Result<Hands, WorkError> {
        let next = NextState {
            state,
            figures,
            hold_reasons,
            error,
        };
        let mut tx = self.ctx.db.begin().await?;
        let ours = set_reconcile_state(&mut tx, self.run.id, self.claim, &next, self.ctx.clock.now()).await?;
        tx.commit().await?;
        self.ctx.metrics.count_run(state);
        Ok(if ours { Hands::Ours } else { Hands::Others })
    }

    /// Says that the run is being worked on.
    async fn keep(self, conn: &mut Connection) -> Result<Hands, WorkError> {
        let until: DateTime<Utc> = self.ctx.clock.now() + CLAIM;
        let ours = renew_reconcile_claim(conn, self.run.id, self.claim, until).await?;
        Ok(if ours { Hands::Ours } else { Hands::Others })
    }

    /// The same in a transaction of its own. Whoever took the run over is noticed at the next write.
    async fn refresh(self) -> Result<(), WorkError> {
        let mut tx = self.ctx.db.begin().await?;
        self.keep(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Leaves the run to another worker at once: this one stops.
    async fn let_go(self) -> Result<(), WorkError> {
        tracing::info!(reconcile.run_id = %self.run.id, "a sweep of Stripe is left to another worker, because this one stops");
        let mut tx = self.ctx.db.begin().await?;
        renew_reconcile_claim(&mut tx, self.run.id, self.claim, self.ctx.clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The figures with the findings as they are now.
    async fn count(self, figures: Figures) -> Result<Figures, WorkError> {
        let mut tx = self.ctx.db.begin().await?;
        let counts = count_findings(&mut tx, self.run.id).await?;
        tx.commit().await?;
        let number = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(Figures {
            findings: number(counts.all),
            applied: number(counts.applied),
            noted: number(counts.noted),
            failed: number(counts.failed),
            ..figures
        })
    }
}
