//! The writer and the readers together, over real pipes.

use std::io::Write as _;

use futures::{StreamExt as _, TryStreamExt as _};
use tokio::net::unix::pipe::Receiver;

use super::*;
use crate::clock::Clock;

fn receiver(reader: std::io::PipeReader) -> Receiver {
    Receiver::from_owned_fd(reader.into()).unwrap()
}

/// Writes the log of a container that printed `stdout` and `stderr`.
async fn log_of(stdout: &[u8], stderr: &[u8]) -> (tempfile::TempDir, LogHandle) {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, handle) =
        LogWriter::create(directory.path().join("0.log"), LogLimits::default(), Clock::default())
            .await
            .unwrap();
    let (out, mut to_out) = std::io::pipe().unwrap();
    let (err, mut to_err) = std::io::pipe().unwrap();
    let (stdout, stderr) = (stdout.to_vec(), stderr.to_vec());
    let printing = tokio::task::spawn_blocking(move || {
        to_out.write_all(&stdout).unwrap();
        to_err.write_all(&stderr).unwrap();
    });
    writer.copy(receiver(out), receiver(err), async { printing.await.unwrap() }).await;
    (directory, handle)
}

async fn text(handle: &LogHandle, options: LogOptions) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let chunks: Vec<_> = read(handle.clone(), options, now).try_collect().await.unwrap();
    chunks.concat()
}

#[tokio::test]
async fn any_bytes_come_back_as_they_were() {
    let bytes = b"ok\xff\xfe\0\x01end\n\xc3\x28\n\x1b[31mred\x1b[0m\n\n\nno line end";
    let (_directory, handle) = log_of(bytes, b"").await;
    assert_eq!(text(&handle, LogOptions::default()).await, bytes);
}

#[tokio::test]
async fn a_flood_comes_back_whole_and_in_order() {
    let lines = (1..=20_000).fold(String::new(), |text, number| text + &number.to_string() + "\n");
    let (_directory, handle) = log_of(lines.as_bytes(), b"").await;
    assert_eq!(text(&handle, LogOptions::default()).await, lines.as_bytes());
    assert_eq!(
        text(&handle, LogOptions { tail_lines: Some(3), ..LogOptions::default() }).await,
        b"19998\n19999\n20000\n"
    );
    let all = LogOptions { tail_lines: Some(1_000_000), ..LogOptions::default() };
    assert_eq!(text(&handle, all).await, lines.as_bytes());
}

#[tokio::test]
async fn a_long_line_has_one_timestamp_and_is_counted_in_pieces() {
    let mut line = vec![b'x'; 100_000];
    line.extend_from_slice(b"\nafter\n");
    let (_directory, handle) = log_of(&line, b"").await;
    let stamped = text(&handle, LogOptions { timestamps: true, ..LogOptions::default() }).await;
    assert_eq!(stamped.len(), line.len() + 2 * 31);
    let two = text(&handle, LogOptions { tail_lines: Some(2), ..LogOptions::default() }).await;
    assert_eq!(two.len(), 100_000 % (16 * 1024) + "\nafter\n".len());
}

#[tokio::test]
async fn a_limit_cuts_anywhere_and_counts_timestamps() {
    let (_directory, handle) = log_of(b"line 1\nline 2\nline 10\n", b"").await;
    let limited = LogOptions { limit_bytes: Some(10), ..LogOptions::default() };
    assert_eq!(text(&handle, limited).await, b"line 1\nlin");
    assert_eq!(text(&handle, LogOptions { tail_lines: Some(1), ..limited }).await, b"line 10\n");
    let stamped = text(&handle, LogOptions { timestamps: true, ..limited }).await;
    assert!(stamped.len() == 10 && stamped.starts_with(b"20"), "{stamped:?}");
}

#[tokio::test]
async fn stamps_increase_and_a_second_counts_whole() {
    let (_directory, handle) = log_of(b"a\nb\nc\n", b"").await;
    let stamped = text(&handle, LogOptions { timestamps: true, ..LogOptions::default() }).await;
    let stamped = String::from_utf8(stamped).unwrap();
    let stamps: Vec<_> = stamped.lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert!(stamps.is_sorted_by(|one, other| one < other), "{stamps:?}");

    let last: jiff::Timestamp = stamps[2].parse().unwrap();
    let since = LogOptions { since_time: Some(last), ..LogOptions::default() };
    assert!(text(&handle, since).await.ends_with(b"c\n"));
    let later = last.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    assert_eq!(text(&handle, LogOptions { since_time: Some(later), ..since }).await, b"");
    let hour = LogOptions { since_seconds: Some(3600), ..LogOptions::default() };
    assert_eq!(text(&handle, hour).await, b"a\nb\nc\n");
}

#[tokio::test]
async fn a_follower_gets_lines_as_they_are_written_and_ends_with_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, handle) =
        LogWriter::create(directory.path().join("0.log"), LogLimits::default(), Clock::default())
            .await
            .unwrap();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut follower = std::pin::pin!(read(handle, options, jiff::Timestamp::now()));
    writer.line("one").await;
    assert_eq!(follower.next().await.unwrap().unwrap(), "one\n");
    writer.line("two").await;
    assert_eq!(follower.next().await.unwrap().unwrap(), "two\n");
    drop(writer);
    assert!(follower.next().await.is_none());
}

#[tokio::test]
async fn a_pipe_that_is_held_open_does_not_hold_up_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, handle) =
        LogWriter::create(directory.path().join("0.log"), LogLimits::default(), Clock::default())
            .await
            .unwrap();
    let (out, mut to_out) = std::io::pipe().unwrap();
    let (err, _held) = std::io::pipe().unwrap();
    to_out.write_all(b"last words").unwrap();
    writer.copy(receiver(out), receiver(err), async {}).await;
    assert_eq!(text(&handle, LogOptions::default()).await, b"last words");
    drop(to_out);
}

#[tokio::test]
async fn the_tail_is_bounded_in_lines_and_bytes() {
    let lines = (1..=200).fold(String::new(), |text, number| text + "line " + &number.to_string() + "\n");
    let (_directory, handle) = log_of(lines.as_bytes(), b"").await;
    let last = tail(handle.clone(), 80, 2048).await.unwrap();
    assert!(last.starts_with(b"line 121\n") && last.ends_with(b"line 200\n"));
    assert_eq!(tail(handle, 80, 5).await.unwrap(), b" 200\n");
}

const SMALL: LogLimits = LogLimits { max_size: 1000, max_files: 2 };

async fn small_log() -> (tempfile::TempDir, LogWriter, LogHandle) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let (writer, handle) = LogWriter::create(path, SMALL, Clock::default()).await.unwrap();
    (directory, writer, handle)
}

#[tokio::test]
async fn only_the_last_file_can_be_read_after_a_rotation() {
    let (directory, mut writer, handle) = small_log().await;
    for number in 1..=100 {
        writer.line(&format!("line {number}")).await;
    }
    drop(writer);
    let read = String::from_utf8(text(&handle, LogOptions::default()).await).unwrap();
    assert!(!read.contains("line 1\n") && read.ends_with("line 99\nline 100\n"), "{read}");
    let all = LogOptions { tail_lines: Some(1000), ..LogOptions::default() };
    assert_eq!(text(&handle, all).await, read.as_bytes(), "a tail does not reach further");
    assert_eq!(tail(handle, 1000, 100_000).await.unwrap(), read.as_bytes());
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.iter().all(|file| file.metadata().unwrap().len() <= SMALL.max_size));
}

#[tokio::test]
async fn a_follower_goes_through_rotations() {
    let (_directory, mut writer, handle) = small_log().await;
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut follower = std::pin::pin!(read(handle, options, jiff::Timestamp::now()));
    let mut followed = Vec::new();
    for number in 1..=100 {
        let line = format!("line {number}\n");
        writer.line(line.trim_end()).await;
        while !followed.ends_with(line.as_bytes()) {
            followed.extend_from_slice(&follower.next().await.unwrap().unwrap());
        }
    }
    drop(writer);
    assert!(follower.next().await.is_none());
    assert_eq!(String::from_utf8(followed).unwrap().lines().count(), 100);
}

#[tokio::test]
async fn a_follower_that_is_too_slow_loses_the_files_between() {
    let (_directory, mut writer, handle) = small_log().await;
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut follower = std::pin::pin!(read(handle, options, jiff::Timestamp::now()));
    writer.line("line 1").await;
    let mut followed = follower.next().await.unwrap().unwrap().to_vec();
    for number in 2..=100 {
        writer.line(&format!("line {number}")).await;
    }
    drop(writer);
    while let Some(chunk) = follower.next().await {
        followed.extend_from_slice(&chunk.unwrap());
    }
    let followed = String::from_utf8(followed).unwrap();
    assert!(followed.starts_with("line 1\nline 2\n") && followed.ends_with("line 100\n"), "{followed}");
    assert!(!followed.contains("line 50\n"), "{followed}");
}
