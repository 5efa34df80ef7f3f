use std::{
    collections::VecDeque,
    io::{self, SeekFrom},
};

use bytes::Bytes;
use futures::stream::{self, Stream};
use jiff::Timestamp;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};

use super::{
    frame::{Piece, stamp},
    writer::{LogHandle, Progress},
};

/// How much of a file is held at once.
const CHUNK: usize = 32 * 1024;

/// What of a log is read, as the API's parameters say it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogOptions {
    /// Goes on with what is written later, to the container's end.
    pub(crate) follow: bool,
    pub(crate) timestamps: bool,
    /// Only whole seconds count, as in Kubernetes.
    pub(crate) since_time: Option<Timestamp>,
    pub(crate) since_seconds: Option<u64>,
    /// Counted in pieces of the file, of which a long line has several.
    pub(crate) tail_lines: Option<u64>,
    pub(crate) limit_bytes: Option<u64>,
}

/// Streams a log. Memory is bounded by the length of one chunk, whatever the length of the log or a line.
pub(crate) fn read(
    handle: LogHandle,
    options: LogOptions,
    now: Timestamp,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(None, move |reader| {
        let handle = handle.clone();
        async move {
            let mut reader = match reader {
                Some(reader) => reader,
                None => Reader::open(handle, options, now).await?,
            };
            Ok(reader.next().await?.map(|bytes| (bytes, Some(reader))))
        }
    })
}

/// The end of a log: at most `bytes` of its last `lines` lines.
pub(crate) async fn tail(handle: LogHandle, lines: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let options = LogOptions { tail_lines: Some(lines), ..LogOptions::default() };
    let mut reader = Reader::open(handle, options, Timestamp::UNIX_EPOCH).await?;
    let mut last = VecDeque::new();
    while let Some(chunk) = reader.next().await? {
        last.extend(chunk);
        last.drain(..last.len().saturating_sub(bytes));
    }
    Ok(last.into())
}

struct Reader {
    handle: LogHandle,
    file: File,
    /// Which one it is.
    number: u32,
    /// Where the next read begins.
    position: u64,
    /// What has been read and is not yet a whole line of the file.
    pending: Vec<u8>,
    /// Lines before it are left out; stamps compare as text.
    since: Option<String>,
    /// How many bytes may still be delivered.
    remaining: u64,
    at_line_start: bool,
    options: LogOptions,
    /// Where a reader that doesn't follow ends.
    end: u64,
}

impl Reader {
    async fn open(handle: LogHandle, options: LogOptions, now: Timestamp) -> io::Result<Self> {
        let (mut file, progress) = last_file(&handle).await?;
        let end = progress.length;
        let position = match options.tail_lines {
            Some(lines) => tail_start(&mut file, end, lines).await?,
            None => 0,
        };
        file.seek(SeekFrom::Start(position)).await?;
        let ago =
            |seconds: u64| i64::try_from(seconds).ok().map(|seconds| now.as_second().saturating_sub(seconds));
        let since = options.since_time.map(Timestamp::as_second).or(options.since_seconds.and_then(ago));
        Ok(Self {
            handle,
            file,
            number: progress.file,
            position,
            pending: Vec::new(),
            since: since.and_then(|second| Timestamp::from_second(second).ok()).map(stamp),
            remaining: options.limit_bytes.unwrap_or(u64::MAX),
            at_line_start: true,
            options,
            end,
        })
    }

    /// The next bytes, `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.remaining > 0 {
            let Some(length) = self.available().await? else { return Ok(None) };
            let start = self.pending.len();
            self.pending.resize(start + length, 0);
            self.file.read_exact(&mut self.pending[start..]).await?;
            self.position += length as u64;
            let out = self.render();
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
        Ok(None)
    }

    /// How much may be read now; waits for more if it follows, `None` when there is none to come.
    async fn available(&mut self) -> io::Result<Option<usize>> {
        loop {
            let progress = *self.handle.progress.borrow_and_update();
            let is_last = progress.file == self.number;
            let end = match (self.options.follow, is_last) {
                (false, _) => self.end,
                (true, true) => progress.length,
                (true, false) => self.file.metadata().await?.len(),
            };
            if end > self.position {
                return Ok(Some(usize::try_from(end - self.position).unwrap_or(CHUNK).min(CHUNK)));
            }
            if !self.options.follow {
                return Ok(None);
            }
            if !is_last {
                // As a kubelet does it: what was in files between the two is lost to a follower that slow.
                let (file, progress) = last_file(&self.handle).await?;
                (self.file, self.number, self.position) = (file, progress.file, 0);
            } else if progress.is_complete || self.handle.progress.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Turns the whole lines among what is pending into what the client gets.
    fn render(&mut self) -> Vec<u8> {
        let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.pending.split_off(end + 1);
        let lines = std::mem::replace(&mut self.pending, rest);
        let mut out = Vec::with_capacity(lines.len());
        for piece in lines.split(|byte| *byte == b'\n').filter_map(Piece::parse) {
            if self.since.as_ref().is_some_and(|since| piece.stamp < since.as_bytes()) {
                continue;
            }
            if self.options.timestamps && self.at_line_start {
                out.extend_from_slice(piece.stamp);
                out.push(b' ');
            }
            out.extend_from_slice(piece.content);
            if piece.is_whole {
                out.push(b'\n');
            }
            self.at_line_start = piece.is_whole;
        }
        if let Ok(remaining) = usize::try_from(self.remaining) {
            out.truncate(remaining);
        }
        self.remaining -= out.len() as u64;
        out
    }
}

/// Opens the file that is written now.
async fn last_file(handle: &LogHandle) -> io::Result<(File, Progress)> {
    loop {
        let progress = *handle.progress.borrow();
        match File::open(handle.path(progress.file)).await {
            // It has been removed meanwhile, so another one is the last.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && handle.progress.borrow().file != progress.file => {}
            opened => return Ok((opened?, progress)),
        }
    }
}

/// Where the last `lines` lines before `end` begin, found from the end backwards.
async fn tail_start(file: &mut File, end: u64, lines: u64) -> io::Result<u64> {
    if lines == 0 {
        return Ok(end);
    }
    let mut buffer = vec![0; CHUNK];
    let mut found = 0;
    // The line end of the last line itself does not begin another.
    let mut position = end.saturating_sub(1);
    while position > 0 {
        let length = usize::try_from(position).unwrap_or(CHUNK).min(CHUNK);
        position -= length as u64;
        file.seek(SeekFrom::Start(position)).await?;
        let chunk = &mut buffer[..length];
        file.read_exact(chunk).await?;
        for index in (0..length).rev() {
            found += u64::from(chunk[index] == b'\n');
            if found == lines {
                return Ok(position + index as u64 + 1);
            }
        }
    }
    Ok(0)
}
