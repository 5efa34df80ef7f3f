//! The lines of a log, written as they come.

use std::io;

use futures::StreamExt as _;
use wm_core::LogStream;
use workload_manager::{Error, LogRecord};

/// How many lines are written at once, when there are many.
const BATCH: usize = 1024;

/// Hands lines on, as many at once as there are, until the log ends or can't be read any more.
pub(crate) async fn write(
    lines: LogStream,
    mut write: impl FnMut(&[LogRecord]) -> io::Result<()>,
) -> io::Result<Result<(), Error>> {
    let mut batches = lines.ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let mut records = Vec::with_capacity(batch.len());
        let mut end = Ok(());
        for line in batch {
            match line {
                Ok(record) => records.push(record),
                Err(error) => {
                    end = Err(error);
                    break;
                }
            }
        }
        write(&records)?;
        if end.is_err() {
            return Ok(end);
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use workload_manager::{ErrorKind, LogSource};

    use super::*;

    #[tokio::test]
    async fn the_lines_before_an_error_are_written() {
        let line = |text: &str| Ok(LogRecord::new(None, LogSource::Manager, text));
        let lost = Err(Error::new(ErrorKind::Unavailable, "lost"));
        let lines = stream::iter([line("a"), line("b"), lost, line("c")]).boxed();
        let mut written = Vec::new();
        let end = write(lines, |records| {
            written.extend(records.iter().map(|record| record.text().into_owned()));
            Ok(())
        });
        assert_eq!(end.await.unwrap().unwrap_err().message(), "lost");
        assert_eq!(written, ["a", "b"]);
    }
}
