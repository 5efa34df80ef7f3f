use std::time::Duration;

/// How an archive gathers lines and how much it holds; the default suits an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveSettings {
    /// How long lines wait for others before they are written together. While more and more come it doubles, up to
    /// [`most_linger`](Self::most_linger).
    pub linger: Duration,
    /// The longest that lines wait.
    pub most_linger: Duration,
    /// How many bytes are written at once.
    pub chunk_bytes: usize,
    /// How many bytes an output may have in the archive; what follows is left out, and that is told.
    pub output_bytes: u64,
    /// How many bytes of a workload's messages may wait while the store is away; the oldest are dropped, and that is
    /// told.
    pub message_bytes: usize,
    /// How many bytes of all outputs may wait; more are taken when there is room.
    pub waiting_bytes: usize,
    /// How often a follower looks for what other servers wrote; it grows to five times that while there is nothing.
    pub poll: Duration,
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(1),
            most_linger: Duration::from_secs(10),
            chunk_bytes: 256 * 1024,
            output_bytes: 64 * 1024 * 1024,
            message_bytes: 1024 * 1024,
            waiting_bytes: 64 * 1024 * 1024,
            poll: Duration::from_secs(1),
        }
    }
}
