use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use tokio::{fs::File, io::AsyncWriteExt as _, net::unix::pipe::Receiver, sync::watch};
use tracing::warn;

use super::frame::Framer;
use crate::clock::Clock;

/// How much of a flood is taken before the other stream and the file get their turn.
const BURST: usize = 64 * 1024;

/// No pipe holds more, so that draining one ends even if a process goes on writing.
const LARGEST_PIPE: usize = 1024 * 1024;

/// When a log begins another file, and how many of its files are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLimits {
    pub(crate) max_size: u64,
    pub(crate) max_files: u32,
}

impl Default for LogLimits {
    /// A kubelet's.
    fn default() -> Self {
        Self { max_size: 10 * 1024 * 1024, max_files: 5 }
    }
}

/// How far the last file of a log has come. The length always is at the end of a line of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// How many files came before.
    pub(super) file: u32,
    pub(super) length: u64,
    /// How long those were together.
    past: u64,
    pub(super) is_complete: bool,
}

/// Names the files of a log for its readers. They may outlive the writer, and the files.
#[derive(Clone, Debug)]
pub(crate) struct LogHandle {
    path: Arc<Path>,
    pub(super) progress: watch::Receiver<Progress>,
}

impl LogHandle {
    /// Waits until the log is at least this long, over all its files; for ever if it never is.
    pub(crate) async fn reaches(mut self, length: u64) {
        if self.progress.wait_for(|progress| progress.past + progress.length >= length).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn path(&self, file: u32) -> PathBuf {
        numbered(&self.path, file)
    }
}

/// The one writer of a log. Dropping it completes the log: followers end.
#[derive(Debug)]
pub(crate) struct LogWriter {
    path: Arc<Path>,
    limits: LogLimits,
    file: File,
    stamps: Stamps,
    now: Progress,
    progress: watch::Sender<Progress>,
}

impl LogWriter {
    pub(crate) async fn create(
        path: PathBuf,
        limits: LogLimits,
        clock: Clock,
    ) -> io::Result<(Self, LogHandle)> {
        let file = File::create(&path).await?;
        let path: Arc<Path> = path.into();
        let (progress, receiver) = watch::channel(Progress::default());
        let stamps = Stamps { clock, last: Timestamp::UNIX_EPOCH };
        let handle = LogHandle { path: Arc::clone(&path), progress: receiver };
        Ok((Self { path, limits, file, stamps, now: Progress::default(), progress }, handle))
    }

    /// Copies both streams until `ended` resolves, then what is left in the pipes.
    ///
    /// It does not wait for the pipes to be closed: a process that left its group may hold them for ever.
    pub(crate) async fn copy(&mut self, stdout: Receiver, stderr: Receiver, ended: impl Future<Output = ()>) {
        let mut stdout = Source::new(stdout, "stdout");
        let mut stderr = Source::new(stderr, "stderr");
        let mut ended = std::pin::pin!(ended);
        loop {
            let mut out = Vec::new();
            tokio::select! {
                () = &mut ended => break,
                () = stdout.readable(), if stdout.is_open => stdout.take(&mut self.stamps, &mut out),
                () = stderr.readable(), if stderr.is_open => stderr.take(&mut self.stamps, &mut out),
            }
            self.append(&out).await;
        }
        for mut source in [stdout, stderr] {
            let mut out = Vec::new();
            source.drain(&mut self.stamps, &mut out);
            self.append(&out).await;
        }
    }

    /// Appends a line of the runtime's own, as a container writes one to stderr.
    pub(crate) async fn line(&mut self, text: &str) {
        let (mut framer, mut out) = (Framer::new("stderr"), Vec::new());
        framer.push(format!("{text}\n").as_bytes(), || self.stamps.next(), &mut out);
        self.append(&out).await;
    }

    async fn append(&mut self, out: &[u8]) {
        if out.is_empty() {
            return;
        }
        if let Err(error) = self.write(out).await {
            // As on a real node with a full disk: the container runs on, its output is lost.
            warn!(%error, "Log file can't be written");
        }
    }

    async fn write(&mut self, mut out: &[u8]) -> io::Result<()> {
        while !out.is_empty() {
            let room = self.limits.max_size.saturating_sub(self.now.length);
            let (fitting, rest) = out.split_at(fitting(out, room, self.now.length == 0));
            if fitting.is_empty() {
                self.rotate().await?;
                continue;
            }
            self.file.write_all(fitting).await?;
            self.file.flush().await?;
            self.now.length += fitting.len() as u64;
            self.progress.send_replace(self.now);
            out = rest;
        }
        Ok(())
    }

    /// Begins another file. Only followers that are in the last one can still read it.
    async fn rotate(&mut self) -> io::Result<()> {
        let next = Progress {
            file: self.now.file + 1,
            past: self.now.past + self.now.length,
            ..Progress::default()
        };
        self.file = File::create(numbered(&self.path, next.file)).await?;
        self.now = next;
        self.progress.send_replace(next);
        if let Some(oldest) = next.file.checked_sub(self.limits.max_files.max(1)) {
            tokio::fs::remove_file(numbered(&self.path, oldest)).await?;
        }
        Ok(())
    }
}

/// How much of some lines goes into what is left of a file: whole lines, and at least one if nothing else is in it.
fn fitting(lines: &[u8], room: u64, is_first: bool) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if lines.len() <= room {
        return lines.len();
    }
    let is_end = |byte: &u8| *byte == b'\n';
    match lines[..room].iter().rposition(is_end) {
        Some(end) => end + 1,
        None if is_first => lines.iter().position(is_end).map_or(lines.len(), |end| end + 1),
        None => 0,
    }
}

/// The first file has the plain name.
fn numbered(path: &Path, file: u32) -> PathBuf {
    if file == 0 {
        return path.to_owned();
    }
    let mut path = path.as_os_str().to_owned();
    path.push(format!(".{file}"));
    path.into()
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.progress.send_modify(|progress| progress.is_complete = true);
    }
}

/// Times that strictly increase, so that a reader can resume after the last line it saw.
#[derive(Debug)]
struct Stamps {
    clock: Clock,
    last: Timestamp,
}

impl Stamps {
    fn next(&mut self) -> Timestamp {
        let after_last = self.last.checked_add(jiff::Span::new().nanoseconds(1)).unwrap_or(self.last);
        self.last = self.clock.timestamp().max(after_last);
        self.last
    }
}

/// The reading end of one stream.
struct Source {
    pipe: Receiver,
    framer: Framer,
    is_open: bool,
}

impl Source {
    fn new(pipe: Receiver, stream: &'static str) -> Self {
        Self { pipe, framer: Framer::new(stream), is_open: true }
    }

    async fn readable(&self) {
        if self.pipe.readable().await.is_err() {
            // Only a runtime that shuts down gets here, and then nothing is read any more.
            std::future::pending::<()>().await;
        }
    }

    /// Takes what the pipe holds, at most about `BURST`, without waiting.
    fn take(&mut self, stamps: &mut Stamps, out: &mut Vec<u8>) {
        let mut buffer = [0; 8 * 1024];
        let mut taken = 0;
        while self.is_open && taken < BURST {
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => self.is_open = false,
                Ok(count) => {
                    taken += count;
                    self.framer.push(&buffer[..count], || stamps.next(), out);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.is_open = false,
            }
        }
    }

    /// Takes the rest, past tokio, whose knowledge of what is readable may lag behind the end of the process.
    fn drain(&mut self, stamps: &mut Stamps, out: &mut Vec<u8>) {
        let mut buffer = [0; 8 * 1024];
        let mut taken = 0;
        while taken < LARGEST_PIPE {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    taken += count;
                    self.framer.push(&buffer[..count], || stamps.next(), out);
                }
            }
        }
        self.framer.finish(|| stamps.next(), out);
    }
}
