//! What a program logs, kept for a test to look at.

use std::fmt;
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// All that was logged in this process since the first call, spans and events: of which level, and a line with where it is from.
pub fn logged() -> &'static Mutex<Vec<(Level, String)>> {
    static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        tracing::subscriber::set_global_default(Listener(&LINES)).unwrap();
    });
    &LINES
}

struct Listener(&'static Mutex<Vec<(Level, String)>>);

impl Listener {
    fn keep(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line<'_>)) {
        let mut line = metadata.target().to_owned();
        record(&mut Line(&mut line));
        self.0.lock().unwrap().push((*metadata.level(), line));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.keep(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.keep(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}
