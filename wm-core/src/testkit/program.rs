//! What a run of a check does, told so that any backend can do it.

use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};

/// A program, step by step. It ends with exit code 0 unless a step says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Program {
    steps: Vec<Step>,
}

/// What a program does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Writes these bytes to its standard output.
    Print(Vec<u8>),
    /// Writes `line 1` up to `line <n>`, each as a line.
    Count(u32),
    /// Writes so many `x`, without a line's end.
    Fill(u32),
    /// Waits until the harness opens the gate of this name; an open gate stays open.
    Wait(String),
    /// From here on, when it is asked to stop (`SIGTERM`) while it waits, it writes this and ends with exit code 0.
    AtStop(Vec<u8>),
    /// Ends with exit code 99 unless this environment variable has this value.
    Require(String, SecretString),
    /// Ends with this exit code.
    Exit(u8),
}

impl Program {
    /// Makes a program that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Writes bytes.
    #[must_use]
    pub fn print(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Print(bytes.into()))
    }

    /// Writes numbered lines.
    #[must_use]
    pub fn count(self, lines: u32) -> Self {
        self.then(Step::Count(lines))
    }

    /// Writes a long part of a line.
    #[must_use]
    pub fn fill(self, length: u32) -> Self {
        self.then(Step::Fill(length))
    }

    /// Waits at a gate.
    #[must_use]
    pub fn wait(self, gate: &str) -> Self {
        self.then(Step::Wait(gate.to_owned()))
    }

    /// Has last words from here on.
    #[must_use]
    pub fn at_stop(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::AtStop(bytes.into()))
    }

    /// Needs a value of an environment variable.
    #[must_use]
    pub fn require(self, name: &str, value: &str) -> Self {
        self.then(Step::Require(name.to_owned(), value.to_owned().into()))
    }

    /// Ends.
    #[must_use]
    pub fn exit(self, code: u8) -> Self {
        self.then(Step::Exit(code))
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The program as a script for `sh -c`. A gate is open when there is a file of its name in the directory, which
    /// [`ManagerHarness::open`](super::ManagerHarness::open) then makes.
    pub fn script(&self, gates: &str) -> String {
        // A shell tells on its standard error of a `sleep` that was ended with it.
        let mut script = "exec 2>/dev/null\n".to_owned();
        for step in &self.steps {
            // Writing to a String can't fail.
            let _written = match step {
                Step::Print(bytes) => writeln!(script, "printf '{}'", escaped(bytes)),
                Step::Count(lines) => {
                    writeln!(script, "i=1; while test $i -le {lines}; do echo line $i; i=$((i+1)); done")
                }
                Step::Fill(length) => writeln!(script, "head -c {length} /dev/zero | tr '\\0' x"),
                Step::Wait(gate) => {
                    writeln!(
                        script,
                        "while ! test -e {}; do sleep 0.01; done",
                        quoted(&format!("{gates}/{gate}"))
                    )
                }
                Step::AtStop(bytes) => {
                    writeln!(script, "trap {} TERM", quoted(&format!("printf '{}'; exit 0", escaped(bytes))))
                }
                // In numbers, so that the value itself does not stand in the command.
                Step::Require(name, value) => writeln!(
                    script,
                    "test \"${name}\" = \"$(printf '{}')\" || exit 99",
                    escaped(value.expose_secret().as_bytes())
                ),
                Step::Exit(code) => writeln!(script, "exit {code}"),
            };
        }
        script
    }
}

/// Bytes as the format of `printf`.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'%' => text.push_str("%%"),
            _ => _ = write!(text, "\\{byte:03o}"),
        }
        text
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(program: &Program) -> (Vec<u8>, Option<i32>) {
        let script = program.script("/nowhere");
        let output = Command::new("sh").args(["-c", &script]).env("TOKEN", "a'b%").output().unwrap();
        (output.stdout, output.status.code())
    }

    #[test]
    fn a_script_does_what_the_program_says() {
        let bytes = b"a%d \xff\0'\"$x\\n\n";
        let program = Program::new().print(bytes).count(2).fill(3).require("TOKEN", "a'b%").exit(7);
        assert_eq!(run(&program), ([&bytes[..], b"line 1\nline 2\nxxx"].concat(), Some(7)));
        assert_eq!(run(&Program::new().require("TOKEN", "other")), (Vec::new(), Some(99)));
        assert_eq!(run(&Program::new()), (Vec::new(), Some(0)));
    }

    #[test]
    fn a_required_value_is_not_shown() {
        let program = Program::new().require("TOKEN", "hunter2");
        assert!(!format!("{program:?} {}", program.script("/")).contains("hunter2"));
    }
}
