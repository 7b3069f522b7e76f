//! Role commands: make somebody look as told, and report.

mod execute;
mod newest;
mod refusal;
mod turns;

use std::sync::Arc;

use rolecall_domain::ids::uuid_v7;
use rolecall_queue::{
    Attempt, JobError, Push, Registry,
    jobs::{ApplyRoles, RoleOutcome, RoleResult},
};
use rolecall_runtime::trace::Traceparent;

pub(crate) use crate::command::turns::Turns;
use crate::{
    command::execute::{Execution, Halt, Report},
    message,
    rest::CallError,
    status::TOKEN_REFUSED,
    term::Ctx,
};

/// While the token is refused, commands come back this often and find that out without asking Discord.
const WITHOUT_TOKEN: std::time::Duration = std::time::Duration::from_mins(1);

/// The kinds of job that the bot runs.
pub(crate) fn registry() -> Registry<Ctx> {
    Registry::new().handle(run).handle(message::run)
}

async fn run(ctx: Arc<Ctx>, command: ApplyRoles, attempt: Attempt) -> Result<(), JobError> {
    let key = (command.guild_id, command.user_id);
    let Some(turn) = ctx.turns.enter(key, command.revision).await else {
        superseded(&ctx, &command);
        return Ok(());
    };
    if !newest::is_newest(&ctx, &command).await? {
        superseded(&ctx, &command);
        return Ok(());
    }
    // What this revision has written in an earlier run was not there before.
    let first = turn.begin(command.revision) && !attempt.redelivered;
    let execution = Execution::new(&ctx, &command, &turn, first);
    match execution.run().await {
        Ok(report) => {
            let results = report.results();
            ctx.bot.metrics.command(name(&results));
            tell(&ctx, &command, &attempt, &report, results).await
        }
        Err(halt) => halted(&ctx, &command, &attempt, halt).await,
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
        Halt::Shut(error) | Halt::Call(CallError::Discord(error)) => match error.retry_after() {
            Some(wait) => JobError::retry_after(wait, error),
            None => JobError::retry(error),
        },
        Halt::NoCatalog => JobError::retry_after(
            std::time::Duration::from_secs(5),
            "the worker has not published a catalog yet",
        ),
    };
    if !attempt.is_last() {
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
    Err(error)
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
        Some(RoleResult::NotInGuild) | None => "not_in_guild",
    }
}
