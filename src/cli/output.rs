//! What goes to stdout and stderr.

use std::{
    fmt,
    io::{self, BufWriter, Write as _},
};

use serde::Serialize;
use serde_json::json;
use workload_manager::{LogRecord, LogSource};

/// How a command tells its results: text for a person, or one JSON object a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Writes objects to stdout, or what `render` makes of them.
    pub(crate) fn list<T: Serialize>(
        self,
        objects: &[T],
        render: impl FnOnce(&[T]) -> String,
    ) -> io::Result<()> {
        if self.json {
            return objects.iter().try_for_each(|object| self::object(object));
        }
        text(&render(objects))
    }

    /// Tells a person something beside the result, on stderr; a program on stdout, like all the rest.
    pub(crate) fn note(self, text: &str) -> io::Result<()> {
        if self.json {
            return object(&json!({ "note": text }));
        }
        error_line(format_args!("{text}"));
        Ok(())
    }

    /// Writes lines of a log: what the program wrote to stdout as it wrote it, the manager's messages to stderr.
    pub(crate) fn records(self, records: &[LogRecord], timestamps: bool) -> io::Result<()> {
        let mut stdout = BufWriter::new(io::stdout().lock());
        for record in records {
            let time = record.time.filter(|_| timestamps || self.json).map(|time| time.to_string());
            if self.json {
                serde_json::to_writer(&mut stdout, &json!({ "log": json_record(record, time.as_deref()) }))?;
                stdout.write_all(b"\n")?;
                continue;
            }
            let time = time.map(|time| format!("{time} ")).unwrap_or_default();
            if let LogSource::Output { .. } = record.source {
                stdout.write_all(time.as_bytes())?;
                stdout.write_all(&record.line)?;
                if record.ended {
                    stdout.write_all(b"\n")?;
                }
            } else {
                stdout.flush()?;
                error_line(format_args!("{time}[manager] {}", record.text()));
            }
        }
        stdout.flush()
    }
}

impl Output {
    /// Writes lines of a log that is not the result: to stderr, or to stdout for a program.
    pub(crate) fn log_beside(self, records: &[LogRecord]) -> io::Result<()> {
        if self.json {
            return self.records(records, true);
        }
        for record in records {
            let who = if record.source == LogSource::Manager { "[manager] " } else { "" };
            error_line(format_args!("{who}{}", record.text()));
        }
        Ok(())
    }
}

fn json_record(record: &LogRecord, time: Option<&str>) -> serde_json::Value {
    let mut object = json!({ "time": time, "source": record.source, "line": record.text() });
    if !record.ended {
        object["ended"] = json!(false);
    }
    if let Some(cursor) = &record.cursor {
        object["cursor"] = json!(cursor);
    }
    object
}

/// Writes text to stdout as it is.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line of JSON to stdout.
pub(crate) fn object(object: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(object)?;
    line.push('\n');
    text(&line)
}

/// Writes a line to stderr. If nobody can read it, there is nobody to tell that either.
pub(crate) fn error_line(line: fmt::Arguments<'_>) {
    let _unread = writeln!(io::stderr().lock(), "{line}");
}
