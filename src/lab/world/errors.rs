//! Catches ERROR events of the log while something runs: in a good run there are none.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// ERROR events that are kept; one is a failure already.
const MAX_ERRORS: usize = 20;

/// Runs `what` and gives the ERROR events that it logged.
pub(super) fn watch(what: impl FnOnce()) -> Vec<String> {
    let errors = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Watch(Arc::clone(&errors)), what);
    // A poisoned lock means that `what` panicked, and then nobody gets here.
    errors.lock().map(|mut errors| std::mem::take(&mut *errors)).unwrap_or_default()
}

struct Watch(Arc<Mutex<Vec<String>>>);

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        if let Ok(mut errors) = self.0.lock() {
            if errors.len() < MAX_ERRORS {
                errors.push(text.0);
            }
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}
