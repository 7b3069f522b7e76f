//! Role commands: make somebody look as told, and report.

mod execute;
mod newest;
mod patience;
mod places;
mod refusal;
mod turns;

use std::{sync::Arc, time::Duration};

use rolecall_discord::error::ErrorClass;
use rolecall_domain::ids::uuid_v7;
use rolecall_queue::{
    Attempt, JobError, Push, Registry,
    jobs::{ApplyRoles, RoleOutcome, RoleResult},
};
use rolecall_runtime::trace::Traceparent;

pub(crate) use crate::command::{
    patience::wait_for,
    places::{Desk, Places},
    turns::Turns,
};
use crate::{
    command::{
        execute::{Execution, Halt, Report},
        newest::Start,
        places::Place,
        turns::Turn,
    },
    message,
    rest::CallError,
    status::TOKEN_REFUSED,
    term::Ctx,
};

/// While the token is refused, commands come back this often and find that out without asking Discord.
const WITHOUT_TOKEN: Duration = Duration::from_mins(1);

/// When a command comes again that an outage of Discord's has cut short.
const AFTER_OUTAGE: Duration = Duration::from_secs(1);

/// The kinds of job that the bot runs.
pub(crate) fn registry() -> Registry<Ctx> {
    Registry::new().handle(run).handle(message::run)
}

async fn run(ctx: Arc<Ctx>, command: ApplyRoles, attempt: Attempt) -> Result<(), JobError> {
    let Some((turn, _place)) = wait_for(&ctx.bot.shutdown.draining(), turn(&ctx, &command)).await? else {
        superseded(&ctx, &command);
        return Ok(());
    };
    let first = match newest::begin(&ctx, &command).await? {
        Start::Superseded => {
            superseded(&ctx, &command);
            return Ok(());
        }
        Start::First => true,
        // What this revision has written in an earlier run was not there before.
        Start::Again => false,
    };
    // On the heap, so that those who wait for their turn are small.
    Box::pin(carry_out(&ctx, &command, &attempt, &turn, first)).await
}

/// The right to carry out a command, once Discord is there; `None` if a newer one has come meanwhile.
async fn turn(ctx: &Ctx, command: &ApplyRoles) -> Option<(Turn, Place)> {
    let key = (command.guild_id, command.user_id);
    let turn = ctx.turns.enter(key, command.revision).await?;
    let place = async {
        let place = ctx
            .places
            .take(Desk::Server(command.guild_id, command.lane))
            .await;
        // With a place, or all that wait for one would begin before it is known that Discord is away.
        ctx.bot.outage.over().await;
        place
    };
    tokio::select! {
        biased;
        () = turn.overtaken() => None,
        place = place => Some((turn, place)),
    }
}

async fn carry_out(
    ctx: &Ctx,
    command: &ApplyRoles,
    attempt: &Attempt,
    turn: &Turn,
    first: bool,
) -> Result<(), JobError> {
    let execution = Execution::new(ctx, command, turn, first);
    let draining = ctx.bot.shutdown.draining();
    let called_off = async {
        draining.cancelled().await;
        if !execution.call_off() {
            // It has written something already, and is seen through.
            std::future::pending::<()>().await;
        }
    };
    let done = tokio::select! {
        biased;
        done = execution.run() => done,
        () = called_off => {
            tracing::debug!(command.revision, "a command that had written nothing is left to the next bot");
            unwritten(ctx, command, first).await;
            return Err(JobError::Snooze(Duration::ZERO));
        }
    };
    match done {
        Ok(report) => {
            let results = report.results();
            ctx.bot.metrics.command(name(&results));
            tell(ctx, command, attempt, &report, results).await
        }
        Err(halt) => {
            if execution.call_off() {
                unwritten(ctx, command, first).await;
            }
            halted(ctx, command, attempt, halt).await
        }
    }
}

/// Notes that nothing was written, so that the next run still knows what was there before the first.
async fn unwritten(ctx: &Ctx, command: &ApplyRoles, first: bool) {
    if first {
        newest::unwritten(ctx, command).await;
    }
}

fn superseded(ctx: &Ctx, command: &ApplyRoles) {
    tracing::debug!(
        command.revision,
        "a newer command for the same person is here; dropped"
    );
    ctx.bot.metrics.command("superseded");
}

/// What becomes of a command that could not be carried out.
async fn halted(ctx: &Ctx, command: &ApplyRoles, attempt: &Attempt, halt: Halt) -> Result<(), JobError> {
    // Where nobody is answered, that says nothing about this command: it waits with all the others.
    if matches!(&halt, Halt::Call(CallError::Discord(error)) if error.class() == ErrorClass::Unavailable)
        && wait_for(&ctx.bot.shutdown.draining(), ctx.bot.outage.is_general()).await?
    {
        return Err(JobError::Snooze(AFTER_OUTAGE));
    }
    let error = match halt {
        Halt::Superseded => {
            superseded(ctx, command);
            return Ok(());
        }
        // From here on nobody must hear anything from us, Redis included. The job goes to the next holder.
        Halt::Call(CallError::LeaseLost(_)) => return std::future::pending().await,
        Halt::Call(CallError::TokenRefused) => {
            tracing::debug!("{TOKEN_REFUSED}");
            return Err(JobError::Snooze(WITHOUT_TOKEN));
        }
        // Its token was refused while it waited, and nothing was sent.
        Halt::Call(CallError::Discord(error)) if error.class() == ErrorClass::CalledOff => {
            return Err(JobError::Snooze(WITHOUT_TOKEN));
        }
        Halt::Shut(error) | Halt::Call(CallError::Discord(error))
            if matches!(error.class(), ErrorClass::Rejected { .. }) =>
        {
            JobError::cancel(error)
        }
        Halt::Shut(error) | Halt::Call(CallError::Discord(error)) => match error.retry_after() {
            Some(wait) => JobError::retry_after(wait, error),
            None => JobError::retry(error),
        },
        Halt::NoCatalog => JobError::retry_after(
            Duration::from_secs(5),
            "the worker has not published a catalog yet",
        ),
        Halt::Unseen => JobError::retry_after(
            Duration::from_secs(5),
            "the server's roles cannot be seen just now, and without them nobody is removed",
        ),
    };
    // Nobody can tell what would help, and a day of tries would not. The worker knows that it is still owed.
    let is_hopeless = matches!(&error, JobError::Cancel(_));
    if !attempt.is_last() && !is_hopeless {
        ctx.bot.metrics.command("retried");
        return Err(error);
    }
    ctx.bot.metrics.command("failed");
    let report = Report::unseen(ctx.bot.clock.now());
    tell(
        ctx,
        command,
        attempt,
        &report,
        vec![RoleResult::Failed {
            message: error.to_string(),
        }],
    )
    .await?;
    if is_hopeless { Ok(()) } else { Err(error) }
}

/// Reports. Only when Redis has all of it is the command done.
async fn tell(
    ctx: &Ctx,
    command: &ApplyRoles,
    attempt: &Attempt,
    report: &Report,
    results: Vec<RoleResult>,
) -> Result<(), JobError> {
    let bot = &ctx.bot;
    let now = bot.clock.now();
    let trace = attempt
        .traceparent
        .as_deref()
        .and_then(|text| text.parse::<Traceparent>().ok());
    let outcomes = results.into_iter().map(|result| {
        let outcome = RoleOutcome {
            guild_id: command.guild_id,
            user_id: command.user_id,
            revision: command.revision,
            fence: ctx.guard.fence(),
            at: report.at,
            result,
        };
        let traceparent = trace.map(|trace| trace.child(&*bot.rng).to_string());
        (
            outcome,
            Push {
                traceparent,
                ..Push::new(now, uuid_v7(now, &*bot.rng))
            },
        )
    });
    match ctx.guard.run(bot.producer.push_all(outcomes)).await {
        Ok(pushed) => Ok(pushed.map(drop)?),
        Err(_) => std::future::pending().await,
    }
}

/// What a command came to, for metrics: the last word counts.
fn name(results: &[RoleResult]) -> &'static str {
    match results.last() {
        Some(RoleResult::Applied { .. }) => "applied",
        Some(RoleResult::Blocked { .. }) => "blocked",
        Some(RoleResult::Failed { .. }) => "failed",
        Some(RoleResult::NotInGuild { kicked: true }) => "kicked",
        Some(RoleResult::NotInGuild { kicked: false }) | None => "not_in_guild",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what `handler` makes of a job.
    fn size<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_thousand_commands_that_wait_for_their_turn_are_a_matter_of_a_few_megabytes() {
        let waiting = size(run);
        assert!(waiting < 4_000, "{waiting} bytes");
    }
}
