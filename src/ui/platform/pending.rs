//! Jobs under way: what they give, and what stops them.

use std::future::Future;
use std::pin::Pin;

use crate::protocol::{Command, Event, Failure, FailureKind, JobId};
use crate::ui::client::{Attachment, Client, Reply};

/// A job under way: cancel it, or wait for what it gives.
pub struct Pending<T> {
    /// Stops the job.
    pub canceller: Canceller,
    result: Pin<Box<dyn Future<Output = Result<T, Failure>>>>,
}

impl<T> Pending<T> {
    /// Wait for the result. A cancelled job fails with [`FailureKind::Cancelled`].
    pub async fn result(self) -> Result<T, Failure> {
        self.result.await
    }
}

/// Stops a job, also from another task than the one that waits for it.
#[derive(Clone)]
pub struct Canceller {
    client: Client,
    /// The job.
    pub job: JobId,
}

impl Canceller {
    /// Ask the engine to stop the job. Without effect on a job that is done.
    pub fn cancel(&self) {
        self.client.send(Command::Cancel { job: self.job }, Attachment::None);
    }
}

pub(super) fn pending<T: 'static>(
    client: &Client,
    reply: Reply,
    finish: impl FnOnce(Event) -> Result<T, Failure> + 'static,
) -> Pending<T> {
    let canceller = Canceller { client: client.clone(), job: reply.job };
    Pending { canceller, result: Box::pin(async move { finish(reply.closing().await) }) }
}

/// The failure that closed a job, or the complaint that another answer than the job's own did.
pub(super) fn failure_of(event: Event) -> Failure {
    match event {
        Event::Failed { failure, .. } => failure,
        other => Failure {
            kind: FailureKind::Internal,
            message: format!("the engine answered something else than was asked: {other:?}"),
            hint: "This is a bug in Rill. Please report it with these words.".into(),
        },
    }
}
