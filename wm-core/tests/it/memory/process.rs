//! A program that is carried out.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use wm_core::{Evidence, LogSource, Outcome, Phase, Reason, Verdict, testkit::Step};

use super::{
    Fault,
    world::{State, World},
};

/// Carries out the program of a run up to its end.
pub(super) async fn live(world: Arc<World>, index: usize) {
    let limit = world.change(|state| {
        let run = &mut state.runs[index];
        if !world.has(Fault::RunningIsNotTold) {
            run.status.phase = Phase::Running;
        }
        run.status.started = Some(world.now());
        run.timeout
    });
    // Whoever looks now sees it run.
    tokio::task::yield_now().await;
    let steps = steps(&world, index);
    let (code, reason) = match limit.filter(|_| !world.has(Fault::TimeLimitIsIgnored)) {
        Some(limit) => match tokio::time::timeout(limit, steps).await {
            Ok(code) => (code, None),
            Err(_elapsed) => (137, Some(Reason::DeadlineExceeded)),
        },
        None => (steps.await, None),
    };
    world.change(|state| {
        let verdict = verdict(&world, state, index, code, reason);
        let now = Some(world.now()).filter(|_| !world.has(Fault::EndHasNoTime));
        state.runs[index].end(verdict, now);
    });
}

async fn steps(world: &World, index: usize) -> i32 {
    let program = world.state.borrow().runs[index].program.clone();
    let mut output = Output { world, index, line: Vec::new() };
    let mut last_words = None;
    for step in program.steps() {
        match step {
            Step::Print(bytes) => output.print(bytes),
            Step::Count(lines) => {
                let lines = (1..=*lines).map(|number| format!("line {number}\n"));
                output.print(lines.collect::<String>().as_bytes());
            }
            Step::Fill(length) => output.print(&vec![b'x'; *length as usize]),
            Step::AtStop(bytes) => last_words = Some(bytes.clone()),
            Step::Wait(gate) => {
                let mut state = world.state.subscribe();
                let waited =
                    state.wait_for(|state| state.runs[index].stop || state.gates.contains(gate)).await;
                if waited.unwrap().runs[index].stop {
                    return match last_words {
                        Some(bytes) if !world.has(Fault::KillsWithoutAsking) => {
                            output.print(&bytes);
                            output.finish();
                            0
                        }
                        _ => 137,
                    };
                }
            }
            Step::Require(name, value) => {
                let state = world.state.borrow();
                if state.runs[index].environment.get(name).map(String::as_str) != Some(value.expose_secret())
                {
                    return 99;
                }
            }
            Step::Exit(code) => {
                output.finish();
                return i32::from(*code);
            }
            other => panic!("the program can't do this yet: {other:?}"),
        }
    }
    output.finish();
    0
}

struct Output<'a> {
    world: &'a World,
    index: usize,
    line: Vec<u8>,
}

impl Output<'_> {
    fn print(&mut self, bytes: &[u8]) {
        let world = self.world;
        world.change(|state| {
            for byte in bytes {
                if *byte == b'\n' {
                    self.put(state, true);
                } else {
                    self.line.push(*byte);
                    if world.has(Fault::LongLinesAreCut) && self.line.len() == 16_384 {
                        self.put(state, true);
                    }
                }
            }
        });
    }

    fn finish(&mut self) {
        if !self.line.is_empty() {
            let world = self.world;
            world.change(|state| self.put(state, false));
        }
    }

    fn put(&mut self, state: &mut State, ended: bool) {
        let mut line = std::mem::take(&mut self.line);
        let run = &state.runs[self.index];
        if run.deleted || (self.world.has(Fault::LinesAreLost) && line == b"line 5000") {
            return;
        }
        if self.world.has(Fault::BytesAreReplaced) {
            line = String::from_utf8_lossy(&line).into_owned().into_bytes();
        }
        let id = run.id().clone();
        let source = LogSource::Output {
            attempt: id.attempt,
            instance: self.index.to_string(),
            container: "main".to_owned(),
            restart: 0,
        };
        self.world.write(state, &id.workload, source, line, ended);
    }
}

fn verdict(world: &World, state: &State, index: usize, code: i32, reason: Option<Reason>) -> Verdict {
    let run = &state.runs[index];
    let mut evidence = Evidence::default();
    evidence.exit_code = Some(code).filter(|_| !world.has(Fault::ExitCodeIsForgotten));
    let own = state.lines.iter().flatten().filter(|(_, record)| {
        matches!(&record.source, LogSource::Output { instance, .. } if *instance == index.to_string())
    });
    evidence.log_tail = own.map(|(_, record)| record.text().into_owned()).collect();
    let verdict = match (reason, run.stop, code) {
        (Some(reason), ..) => Verdict::new(Outcome::Failed, reason, "it took too long", "give it more time"),
        (None, true, _) => Verdict::new(Outcome::Cancelled, Reason::Cancelled, "it was cancelled", ""),
        (None, false, 0) => {
            Verdict::new(Outcome::Succeeded, Reason::Completed, "it ended with exit code 0", "")
        }
        (None, false, code) => {
            let message = format!("it ended with exit code {code}");
            Verdict::new(Outcome::Failed, Reason::ExitCode, message, "read its log")
        }
    };
    verdict.with_evidence(evidence)
}
