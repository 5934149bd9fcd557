//! How somebody beside the loop looks at the running gateway: asks, and is answered between two turns.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::lwm2m::path::Path;

use super::snapshot::{MappingStatus, Snapshot, ValueStatus};

/// Questions that may wait for the loop; who asks more waits.
const QUEUE: usize = 8;
/// A loop that runs answers within moments.
const LIMIT: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Debug)]
pub enum Question {
    /// How everything stands.
    Snapshot(oneshot::Sender<Snapshot>),
    /// A page of mappings: see [`Core::mappings`](super::core::Core::mappings).
    Mappings {
        /// How many there are before the page.
        from: usize,
        /// Most mappings on the page.
        most: usize,
        /// Where the answer goes.
        answer: oneshot::Sender<Vec<MappingStatus>>,
    },
    /// A page of values: see [`Core::values`](super::core::Core::values).
    Values {
        /// The path after which the page begins; `None` for the first.
        after: Option<Path>,
        /// Most values on the page.
        most: usize,
        /// Where the answer goes.
        answer: oneshot::Sender<Vec<ValueStatus>>,
    },
}

/// The asking end; any number may hold one.
#[derive(Debug, Clone)]
pub struct Asker(mpsc::Sender<Question>);

/// Both ends: one to ask, one for [`Followers`](super::run::Followers).
pub fn questions() -> (Asker, mpsc::Receiver<Question>) {
    let (asker, questions) = mpsc::channel(QUEUE);
    (Asker(asker), questions)
}

impl Asker {
    /// How everything stands; `None` if the loop is over, or does not answer within 5 s.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        self.ask(Question::Snapshot).await
    }

    /// At most so many mappings, from this one on; `None` as with [`Asker::snapshot`].
    pub async fn mappings(&self, from: usize, most: usize) -> Option<Vec<MappingStatus>> {
        self.ask(|answer| Question::Mappings { from, most, answer }).await
    }

    /// At most so many values, from the one that follows `after`; `None` as with [`Asker::snapshot`].
    pub async fn values(&self, after: Option<Path>, most: usize) -> Option<Vec<ValueStatus>> {
        self.ask(|answer| Question::Values { after, most, answer }).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let asking = async {
            self.0.send(question(answer)).await.ok()?;
            answered.await.ok()
        };
        timeout(LIMIT, asking).await.ok()?
    }
}
