//! Writing reads, as many in one commit as have come in: whoever finds the way free writes for all who wait.
//! A read that comes alone is written at once.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt;
use rolecall_db::subscriptions::ReadMark;
use rolecall_domain::ids::{MemberId, StripeEventId};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    converge::Converged,
    ctx::Ctx,
    error::WorkError,
    sync::{
        batch::{Fate, write_alone, write_together},
        read::Read,
    },
};

/// How many write at a time. Two keep Postgres busy while one of them waits for a commit, and leave a connection of
/// a small pool to others.
const WRITERS: usize = 2;
/// What one of them writes at a time.
const MOST: usize = 16;

/// Reads that wait to be written.
#[derive(Debug)]
pub struct Writer {
    waiting: Mutex<Vec<Request>>,
    turns: Semaphore,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turns: Semaphore::new(WRITERS),
        }
    }
}

/// A read, and what is done with it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) read: Read,
    /// The write that it replaces.
    pub(super) mark: Option<ReadMark>,
    /// The events that are done with it.
    pub(super) events: Vec<StripeEventId>,
    /// The person whose it is, where somebody knows better than the subscription itself.
    pub(super) member_id: Option<MemberId>,
}

#[derive(Debug)]
struct Request {
    draft: Draft,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Answer {
    Tried(Result<Option<Vec<Converged>>, WorkError>),
    /// It could not be written together with others: it has to be tried by itself.
    Alone(Box<Draft>),
}

/// Writes a read with all that follows from it, in one transaction; `None` if another read was faster.
pub(super) async fn write(ctx: &Ctx, draft: Draft) -> Result<Option<Vec<Converged>>, WorkError> {
    let (answer, mut answered) = oneshot::channel();
    ctx.writer.waiting().push(Request { draft, answer });
    ctx.metrics.unwritten_reads.inc();
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut answered => break answer,
            Ok(turn) = ctx.writer.turns.acquire() => {
                let (batch, gone) = ctx.writer.take();
                let taken = batch.len().saturating_add(gone);
                ctx.metrics.unwritten_reads.sub(i64::try_from(taken).unwrap_or(i64::MAX));
                if batch.is_empty() {
                    // Somebody is writing for us, and the turn is for whoever comes next.
                    drop(turn);
                    break answered.await;
                }
                write_batch(ctx, batch).await;
            }
        }
    };
    match answer {
        Ok(Answer::Tried(result)) => result,
        Ok(Answer::Alone(draft)) => write_alone(ctx, &draft).await,
        // Whoever was writing for us was dropped, and nobody knows how far they came.
        Err(_) => Ok(None),
    }
}

async fn write_batch(ctx: &Ctx, batch: Vec<Request>) {
    let (drafts, answers): (Vec<Draft>, Vec<_>) = batch
        .into_iter()
        .map(|request| (request.draft, request.answer))
        .unzip();
    let tried = async {
        match &*drafts {
            [draft] => vec![write_alone(ctx, draft).await.map(Fate::Decided)],
            drafts => match write_together(ctx, drafts).await {
                Ok(fates) => fates.into_iter().map(Ok).collect(),
                Err(error) => {
                    tracing::debug!(%error, "reads could not be written together; each is tried by itself");
                    Vec::new()
                }
            },
        }
    };
    // The fault of one must not be taken for the fault of whoever writes for it: after a panic, too, each is tried
    // by itself.
    let tried = AssertUnwindSafe(tried).catch_unwind().await.unwrap_or_default();
    let mut tried = tried.into_iter();
    for (draft, answer) in drafts.into_iter().zip(answers) {
        let told = match tried.next() {
            Some(Ok(Fate::Decided(written))) => Answer::Tried(Ok(written)),
            Some(Err(error)) => Answer::Tried(Err(error)),
            Some(Ok(Fate::Busy)) | None => Answer::Alone(Box::new(draft)),
        };
        // Nobody there to hear it: written is written.
        answer.send(told).ok();
    }
}

impl Writer {
    /// What is written next, in the order in which every worker writes, so that two do not wait for each other; and how
    /// many were given up by whoever waited for them. Those are not written: the turn to read ended with the wait, and
    /// a newer read may wait as well. Nor are two reads of one subscription written at a time: it would be left to
    /// chance which one.
    fn take(&self) -> (Vec<Request>, usize) {
        let mut waiting = self.waiting();
        let all = waiting.len();
        waiting.retain(|request| !request.answer.is_closed());
        let gone = all.saturating_sub(waiting.len());
        let mut subjects = BTreeSet::new();
        let (mut batch, later): (Vec<Request>, Vec<Request>) = waiting
            .drain(..)
            .partition(|request| subjects.len() < MOST && subjects.insert(request.draft.read.id().clone()));
        *waiting = later;
        batch.sort_by(|a, b| a.draft.read.id().cmp(b.draft.read.id()));
        (batch, gone)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(writer: &Writer, id: &str, quantity: u64) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let draft = Draft {
            read: Read::of(id, quantity),
            mark: None,
            events: Vec::new(),
            member_id: None,
        };
        writer.waiting().push(Request { draft, answer });
        answered
    }

    fn taken(writer: &Writer) -> (Vec<(String, Option<u64>)>, usize) {
        let (batch, gone) = writer.take();
        let told = batch
            .iter()
            .map(|request| (request.draft.read.id().to_string(), request.draft.read.quantity()));
        (told.collect(), gone)
    }

    #[test]
    fn a_read_that_nobody_waits_for_any_more_is_not_written() {
        let writer = Writer::default();
        let waits = [
            wait(&writer, "sub_2", 1),
            wait(&writer, "sub_1", 1),
            wait(&writer, "sub_3", 1),
        ];
        let [_second, given_up, _third] = waits;
        drop(given_up);
        let newer = wait(&writer, "sub_1", 2);
        let expected = [("sub_1", 2), ("sub_2", 1), ("sub_3", 1)];
        let expected = expected.map(|(id, quantity)| (id.to_owned(), Some(quantity)));
        assert_eq!(taken(&writer), (expected.to_vec(), 1));
        assert_eq!(taken(&writer), (vec![], 0));
        drop(newer);
    }

    #[test]
    fn two_reads_of_one_subscription_are_not_written_at_a_time() {
        let writer = Writer::default();
        let ids = (0..MOST).map(|n| format!("sub_{n:02}"));
        let twice: Vec<_> = ids.clone().flat_map(|id| [id.clone(), id]).collect();
        let waits: Vec<_> = twice.iter().map(|id| wait(&writer, id, 1)).collect();
        let all: Vec<_> = ids.map(|id| (id, Some(1))).collect();
        assert_eq!(taken(&writer), (all.clone(), 0));
        assert_eq!(taken(&writer), (all, 0));
        assert_eq!(taken(&writer), (vec![], 0));
        drop(waits);
    }
}
