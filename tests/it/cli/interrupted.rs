use std::{fs::File, process::Command};

use super::{Machine, wait_for_writers};

#[test]
fn ctrl_c_cancels_and_keeps_the_last_lines() {
    let machine = Machine::new();
    let script = "trap 'echo last; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut run = machine.start(&["run", "--", "sh", "-c", script]);
    assert_eq!(run.line(), "ready");
    run.signal("INT");
    let ended = run.end();
    // A shell may tell of its `sleep` that was ended too.
    assert!(ended.text().lines().any(|line| line == "last"), "{}", ended.all());
    assert!(ended.stderr.contains("cancelled: "), "{}", ended.stderr);
    assert_eq!(ended.code, Some(130));
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_no_process_behind() {
    let machine = Machine::new();
    let fifo = machine.state().join("alive");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let script =
        format!("exec 3>'{}'; trap '' TERM; echo ready; while :; do sleep 0.05; done", fifo.display());
    let mut run = machine.start(&["run", "--", "sh", "-c", &script]);
    let mut alive = File::open(&fifo).unwrap();
    assert_eq!(run.line(), "ready");
    run.signal("INT");
    run.error_line("Ctrl-C again");
    run.signal("INT");
    assert_eq!(run.end().code, Some(130));
    wait_for_writers(&mut alive);
}
