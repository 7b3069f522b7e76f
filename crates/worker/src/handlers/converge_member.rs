//! `converge_member`: a person is converged because somebody asked for it.

use rolecall_domain::trigger::Trigger;
use rolecall_queue::{Attempt, JobError, jobs::ConvergeMember};

use crate::{converge::converge_now, handlers::SharedCtx};

/// Converges the person.
pub async fn run(ctx: SharedCtx, args: ConvergeMember, _: Attempt) -> Result<(), JobError> {
    let trigger: Trigger = args.reason.parse().map_err(JobError::cancel)?;
    Ok(converge_now(&ctx, args.member_id, trigger).await?)
}
