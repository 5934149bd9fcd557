//! What a server wants done beyond the tree: one request is one transaction. Values only.

use std::time::Duration;

use super::path::Path;
use super::value::Content;

/// Names a transaction until its outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// One thing a server's request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Set a resource.
    Write {
        /// The resource.
        path: Path,
        /// Its new content, already of the resource's type.
        content: Content,
    },
    /// Run a resource.
    Execute {
        /// The resource.
        path: Path,
        /// The arguments as sent, possibly empty (EX-02).
        arguments: String,
    },
}

/// All that one request asks for: done whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// Its name.
    pub id: TransactionId,
    /// In the order of the request.
    pub operations: Vec<Operation>,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was confirmed: 2.04, and the tree takes the values.
    Confirmed,
    /// Nothing was done, it may work later: 5.03 with Max-Age; the tree stays.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
        /// The reason, for the log.
        why: String,
    },
    /// Not done, or only in part: 5.00; the tree stays.
    Failed {
        /// The reason, for the log.
        why: String,
    },
}
