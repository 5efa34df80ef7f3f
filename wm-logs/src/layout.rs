//! The keys under which a log is kept.
//!
//! ```text
//! v1/w/<workload>/runs/<kind>-<attempt>                                     a run is on record
//!                /ended/<kind>-<attempt>.json                               it has ended: the seal
//!                /aliases/<alias>                                           another id of it
//!                /owners/<workload>                                         whose other id it is
//!                /includes/<workload>                                       whose log is read with it
//!                /messages/<writer>/<offset>.log                            what a server told
//!                /outputs/<kind>-<attempt>/<pod>/<container>/<restart>/<offset>.log
//!                /manager/<kind>-<attempt>/<offset>.log                     what the backend told about a run
//! ```
//!
//! An offset is the place of a chunk's first byte in its stream, in 16 hexadecimal digits: the next chunk's is that and
//! the chunk's length, so that a list tells whether one is missing. In the order of a list seals come before outputs: who sees
//! a seal has a list with all that was written before it. A chunk of no bytes ends its stream. In a store that
//! can't fence writers each has a stream of its own: a further part `<writer>` before the offset.

use std::fmt;

use wm_core::{Attempt, LogOutput, Result, RunId, WorkloadId, WorkloadKind};

use crate::record::Order;

const ROOT: &str = "v1/w/";

/// What all keys of an archive begin with.
pub(crate) fn root() -> &'static str {
    ROOT
}

/// What all keys of a log begin with.
pub(crate) fn log(id: &WorkloadId) -> String {
    format!("{ROOT}{id}/")
}

/// Lines that one writer, or several with a fence, put one behind the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum StreamId {
    Messages { workload: WorkloadId, writer: String },
    Output { output: LogOutput, writer: Option<String> },
}

impl StreamId {
    pub(crate) fn workload(&self) -> &WorkloadId {
        match self {
            Self::Messages { workload, .. } => workload,
            Self::Output { output, .. } => &output.run().workload,
        }
    }

    pub(crate) fn order(&self) -> Order {
        match self {
            Self::Messages { .. } => Order::Count,
            Self::Output { .. } => Order::Time,
        }
    }

    /// What the keys of its chunks begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("{ROOT}{self}/")
    }

    /// What the keys of all chunks begin with that any writer put into it.
    pub(crate) fn all_writers(&self) -> String {
        match self {
            Self::Messages { .. } => self.prefix(),
            Self::Output { output, .. } => Self::Output { output: output.clone(), writer: None }.prefix(),
        }
    }

    pub(crate) fn chunk(&self, offset: u64) -> String {
        format!("{ROOT}{self}/{offset:016x}.log")
    }

    /// Reads the notation of [`Display`](fmt::Display) back.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once('/')?;
        stream(&WorkloadId::new(id).ok().filter(|known| known.as_str() == id)?, rest)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages { workload, writer } => write!(f, "{workload}/messages/{writer}"),
            Self::Output { output, writer } => {
                let run = output.run();
                if output.is_manager() {
                    write!(f, "{}/manager/{}", run.workload, name(run))?;
                } else {
                    let (instance, container) = (output.instance(), output.container());
                    let restart = output.restart();
                    write!(f, "{}/outputs/{}/{instance}/{container}/{restart}", run.workload, name(run))?;
                }
                writer.iter().try_for_each(|writer| write!(f, "/{writer}"))
            }
        }
    }
}

/// What the keys of all that containers of a run wrote begin with, and of what was told about it.
pub(crate) fn streams_of(run: &RunId) -> [String; 2] {
    ["outputs", "manager"].map(|kind| format!("{ROOT}{}/{kind}/{}/", run.workload, name(run)))
}

pub(crate) fn run(run: &RunId) -> String {
    format!("{ROOT}{}/runs/{}", run.workload, name(run))
}

pub(crate) fn seal(run: &RunId) -> String {
    format!("{ROOT}{}/ended/{}.json", run.workload, name(run))
}

pub(crate) fn alias(workload: &WorkloadId, alias: &WorkloadId) -> String {
    format!("{ROOT}{workload}/aliases/{alias}")
}

pub(crate) fn aliases(workload: &WorkloadId) -> String {
    format!("{ROOT}{workload}/aliases/")
}

pub(crate) fn owners(alias: &WorkloadId) -> String {
    format!("{ROOT}{alias}/owners/")
}

pub(crate) fn owner(alias: &WorkloadId, workload: &WorkloadId) -> String {
    format!("{ROOT}{alias}/owners/{workload}")
}

pub(crate) fn include(workload: &WorkloadId, other: &WorkloadId) -> String {
    format!("{ROOT}{workload}/includes/{other}")
}

fn name(run: &RunId) -> String {
    format!("{}-{:010}", run.kind, run.attempt.get())
}

/// What a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Run(RunId),
    Seal(RunId),
    Alias(WorkloadId),
    Owner(WorkloadId),
    Include(WorkloadId),
    Chunk(StreamId, u64),
}

/// Reads a key; `None` for one of something else.
pub(crate) fn parse(key: &str) -> Option<(WorkloadId, Fact)> {
    let (id, rest) = key.strip_prefix(ROOT)?.split_once('/')?;
    let workload = WorkloadId::new(id).ok()?;
    let fact = match rest.split_once('/')? {
        ("runs", name) => Fact::Run(run_id(&workload, name)?),
        ("ended", name) => Fact::Seal(run_id(&workload, name.strip_suffix(".json")?)?),
        ("aliases", id) => Fact::Alias(WorkloadId::new(id).ok()?),
        ("owners", id) => Fact::Owner(WorkloadId::new(id).ok()?),
        ("includes", id) => Fact::Include(WorkloadId::new(id).ok()?),
        _ => {
            let (path, chunk) = rest.rsplit_once('/')?;
            let offset = chunk.strip_suffix(".log").filter(|digits| digits.len() == 16)?;
            Fact::Chunk(stream(&workload, path)?, u64::from_str_radix(offset, 16).ok()?)
        }
    };
    Some((workload, fact))
}

fn run_id(workload: &WorkloadId, name: &str) -> Option<RunId> {
    let (kind, attempt) = name.split_once('-')?;
    let kind: WorkloadKind = kind.parse().ok()?;
    Some(RunId { workload: workload.clone(), kind, attempt: Attempt::new(attempt.parse().ok()?)? })
}

fn stream(workload: &WorkloadId, path: &str) -> Option<StreamId> {
    let mut parts = path.split('/');
    let (kind, second) = (parts.next()?, parts.next()?);
    let stream = match kind {
        "messages" => StreamId::Messages { workload: workload.clone(), writer: second.to_owned() },
        "manager" => {
            let output = LogOutput::manager(run_id(workload, second)?);
            StreamId::Output { output, writer: parts.next().map(str::to_owned) }
        }
        "outputs" => {
            let run = run_id(workload, second)?;
            let (instance, container, restart) = (parts.next()?, parts.next()?, parts.next()?);
            let output: Result<_> = LogOutput::new(run, instance, container, restart.parse().ok()?);
            StreamId::Output { output: output.ok()?, writer: parts.next().map(str::to_owned) }
        }
        _ => return None,
    };
    parts.next().is_none().then_some(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(workload: &str, attempt: u32) -> RunId {
        let attempt = Attempt::new(attempt).unwrap();
        RunId { workload: workload.parse().unwrap(), kind: WorkloadKind::Run, attempt }
    }

    fn streams() -> Vec<StreamId> {
        let run = run_of("a-1", 12);
        let output = LogOutput::new(run.clone(), "runner-a-1-xyz", "main", 3).unwrap();
        vec![
            StreamId::Messages { workload: run.workload.clone(), writer: "f00".to_owned() },
            StreamId::Output { output: output.clone(), writer: None },
            StreamId::Output { output, writer: Some("f00".to_owned()) },
            StreamId::Output { output: LogOutput::manager(run.clone()), writer: None },
            StreamId::Output { output: LogOutput::manager(run), writer: Some("f00".to_owned()) },
        ]
    }

    #[test]
    fn keys_are_read_back() {
        for id in streams() {
            assert_eq!(StreamId::parse(&id.to_string()).as_ref(), Some(&id));
            let key = id.chunk(0x1f);
            assert!(key.starts_with(&id.prefix()) && key.starts_with(&log(id.workload())), "{key}");
            assert_eq!(parse(&key), Some((id.workload().clone(), Fact::Chunk(id, 0x1f))));
        }
        let (own, other) = (run_of("a", 2), "b".parse::<WorkloadId>().unwrap());
        for (key, fact) in [
            (run(&own), Fact::Run(own.clone())),
            (seal(&own), Fact::Seal(own.clone())),
            (alias(&own.workload, &other), Fact::Alias(other.clone())),
            (owner(&own.workload, &other), Fact::Owner(other.clone())),
            (include(&own.workload, &other), Fact::Include(other.clone())),
        ] {
            assert_eq!(parse(&key), Some((own.workload.clone(), fact)), "{key}");
        }
    }

    #[test]
    fn the_chunks_of_a_stream_are_listed_in_their_order() {
        let id = &streams()[1];
        assert_eq!(
            id.chunk(255),
            "v1/w/a-1/outputs/run-0000000012/runner-a-1-xyz/main/3/00000000000000ff.log"
        );
        assert!(id.chunk(255) < id.chunk(256) && id.chunk(u64::from(u32::MAX)) < id.chunk(u64::MAX));
    }

    #[test]
    fn other_keys_say_nothing() {
        for key in [
            "",
            "v1/w/a",
            "v1/w/a/other/x",
            "v1/w/a/runs/run-0",
            "v1/w/a/messages/00.log",
            "v1/w/a/messages/w/ff.log",
            "v1/w/a/outputs/run-1/pod/main/x/0000000000000000.log",
            "v1/w/a/outputs/run-1/pod/main/0/w/x/0000000000000000.log",
            "v2/w/a/runs/run-1",
        ] {
            assert_eq!(parse(key), None, "{key}");
        }
    }
}
