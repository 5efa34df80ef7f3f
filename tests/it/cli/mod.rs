//! The command `wm`, as a program among others.

mod builds;
mod configuration;
mod doctor;
mod image;
mod interrupted;
mod objects;
mod run;
mod served;

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _},
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A machine of its own for `wm`: no variables but those given, and a state directory that goes with the test.
struct Machine {
    state: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// What a command left.
struct Ended {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Machine {
    fn new() -> Self {
        Self { state: TempDir::new().unwrap(), variables: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn state(&self) -> &Path {
        self.state.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wm"));
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("WM_LOCAL_STATE", self.state()).env("HOME", self.state());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    fn wm(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Running { child, stdout: Some(stdout), stderr }
    }
}

impl Ended {
    fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// The lines of a command with `--json`, each an object.
    fn objects(&self) -> Vec<Value> {
        let text = self.text();
        let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(objects.iter().all(Value::is_object), "{text}");
        objects
    }

    /// Everything that anyone could have read.
    fn all(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.stdout), self.stderr)
    }
}

/// A command that goes on; killed at the latest when the test ends.
struct Running {
    child: Child,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Waits for a line of stdout.
    fn line(&mut self) -> String {
        self.stdout.as_mut().unwrap().next().unwrap().unwrap()
    }

    /// Waits for a line of stderr with this text.
    fn error_line(&mut self, text: &str) {
        assert!(self.stderr.any(|line| line.unwrap().contains(text)), "no line with {text:?}");
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        let mut stdout = Vec::new();
        for line in self.stdout.take().into_iter().flatten() {
            stdout.extend_from_slice(line.unwrap().as_bytes());
            stdout.push(b'\n');
        }
        let mut stderr = String::new();
        for line in self.stderr.by_ref() {
            stderr.push_str(&line.unwrap());
            stderr.push('\n');
        }
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is as well.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Reads to the end of a FIFO: all who hold it open for writing have ended by then.
fn wait_for_writers(fifo: &mut std::fs::File) {
    let mut rest = Vec::new();
    fifo.read_to_end(&mut rest).unwrap();
}
