//! The trace a job runs in, so that the jobs it pushes are of the same trace: from the webhook to the
//! call to Discord one id.

use tokio::task_local;

task_local! {
    static CURRENT: Option<String>;
}

/// The trace (W3C `traceparent`) of the job that runs here; `None` outside jobs, and in jobs that were
/// pushed without one.
pub fn current_traceparent() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `future` in a trace: work that a job leaves to be done after it.
pub async fn within<F: Future>(traceparent: Option<String>, future: F) -> F::Output {
    CURRENT.scope(traceparent, future).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_sees_its_own_trace_and_nobody_elses() {
        assert_eq!(current_traceparent(), None);
        let inside = within(Some("00-1-2-01".to_owned()), async { current_traceparent() }).await;
        assert_eq!(inside.as_deref(), Some("00-1-2-01"));
        assert_eq!(current_traceparent(), None);
    }
}
