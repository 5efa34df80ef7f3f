use serde_json::Value;

use super::{Machine, Running};

/// Starts `wm local` and waits until it serves.
fn serve(machine: &Machine) -> (Running, Value) {
    let mut server = machine.start(&["local", "--json"]);
    let told: Value = serde_json::from_str(&server.line()).unwrap();
    (server, told["local"].clone())
}

#[test]
fn the_other_commands_find_it_and_its_end_takes_all_with_it() {
    let machine = Machine::new();
    let (server, told) = serve(&machine);
    let kubeconfig = told["kubeconfig"].as_str().unwrap().to_owned();
    assert!(std::fs::exists(&kubeconfig).unwrap());

    let script = "echo begun; while ! test -e go; do sleep 0.02; done; echo done; exit 5";
    let script = script.replace("test -e go", &format!("test -e '{}/go'", machine.state().display()));
    let run = ["run", "--detach", "--id", "nightly", "--alias", "also", "--secret", "TOKEN=hunter2", "--"];
    let detached = machine.wm(&[&run[..], &["sh", "-c", &script]].concat());
    assert_eq!(detached.text(), "nightly\n", "{}", detached.stderr);
    assert_eq!(detached.code, Some(0));

    let mut follower = machine.start(&["logs", "-f", "also"]);
    assert_eq!(follower.line(), "begun");
    let ps = machine.wm(&["ps"]);
    assert!(ps.text().lines().nth(1).unwrap().starts_with("nightly  run   1        running"), "{}", ps.all());
    let status = machine.wm(&["status", "also", "--json"]).objects().pop().unwrap();
    assert_eq!(status["run"]["workload"], "nightly");
    assert_eq!(status["phase"], "running");

    std::fs::write(machine.state().join("go"), "").unwrap();
    assert_eq!(follower.end().text(), "done\n");
    // The log ends before the Job does.
    let mut end = machine.start(&[
        "run",
        "--json",
        "--id",
        "nightly",
        "--attempt",
        "1",
        "--alias",
        "also",
        "--secret",
        "TOKEN=x",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    let adopted = std::iter::repeat_with(|| serde_json::from_str::<Value>(&end.line()).unwrap());
    let verdict = adopted.into_iter().find(|object| object["verdict"].is_object()).unwrap();
    assert_eq!(verdict["exit_code"], 5);
    assert_eq!(end.end().code, Some(5));

    let ps = machine.wm(&["ps"]);
    assert!(ps.stderr.contains("wm ps --all"), "{}", ps.all());
    let all = machine.wm(&["ps", "--all"]);
    assert!(all.text().contains("the runner ended with exit code 5"), "{}", all.all());
    let status = machine.wm(&["status", "nightly"]);
    assert!(status.text().contains("failed: the runner ended with exit code 5"), "{}", status.all());
    assert!(status.text().contains("last lines of its log:"), "{}", status.all());
    assert_eq!(machine.wm(&["logs", "nightly"]).text(), "begun\ndone\n");
    let stamped = machine.wm(&["logs", "--timestamps", "nightly"]).text();
    assert!(stamped.lines().count() == 2 && stamped.ends_with("Z done\n"), "{stamped}");
    assert_eq!(machine.wm(&["logs", "--tail", "1", "--json", "nightly"]).objects().len(), 1);
    let lines = machine.wm(&["logs", "--json", "--attempt", "1", "--container", "main", "also"]).objects();
    let lines: Vec<_> = lines.iter().map(|object| &object["log"]).collect();
    assert_eq!((&lines[0]["line"], &lines[1]["line"]), (&"begun".into(), &"done".into()), "{lines:?}");
    let place = lines[0]["cursor"].as_str().unwrap();
    assert_eq!(machine.wm(&["logs", "--container", "main", "--cursor", place, "nightly"]).text(), "done\n");
    assert_eq!(machine.wm(&["logs", "--cursor", "no place", "nightly"]).code, Some(2));
    assert_eq!(machine.wm(&["logs", "--container", "other", "nightly"]).text(), "");
    for arguments in
        [&["status", "nightly"][..], &["status", "nightly", "--json"], &["ps", "--all", "--json"]]
    {
        assert!(!machine.wm(arguments).all().contains("hunter2"));
    }

    let ended = machine.wm(&["cancel", "nightly"]);
    assert!(ended.code == Some(0) && ended.stderr.contains("has ended before: failed"), "{}", ended.all());
    assert_eq!(machine.wm(&["delete", "nightly"]).text(), "nightly\n");
    let gone = machine.wm(&["status", "nightly"]);
    assert_eq!(gone.code, Some(4), "{}", gone.all());
    assert!(gone.stderr.contains("next: "), "{}", gone.stderr);

    server.signal("TERM");
    assert_eq!(server.end().code, Some(0));
    assert!(!std::fs::exists(&kubeconfig).unwrap());
}

#[test]
fn cancel_stops_a_run_and_its_follower_sees_the_last_lines() {
    let machine = Machine::new();
    let (_server, _) = serve(&machine);
    let script = "trap 'echo last; exit 0' TERM; echo begun; while :; do sleep 0.02; done";
    let mut run = machine.start(&["run", "--id", "endless", "--", "sh", "-c", script]);
    assert_eq!(run.line(), "begun");
    let cancelled = machine.wm(&["cancel", "endless", "--json"]);
    assert_eq!(cancelled.objects()[0]["cancelled"]["workload"], "endless", "{}", cancelled.all());
    let ended = run.end();
    // A shell may tell of its `sleep` that was ended too.
    assert!(ended.text().lines().any(|line| line == "last"), "{}", ended.all());
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
}

#[test]
fn a_second_one_is_refused() {
    let machine = Machine::new();
    let (_server, told) = serve(&machine);
    let second = machine.wm(&["local"]);
    assert_eq!(second.code, Some(5), "{}", second.all());
    assert!(second.stderr.contains(told["url"].as_str().unwrap().trim_end_matches('/')), "{}", second.stderr);
    assert!(second.stderr.contains("next: use the one that runs"), "{}", second.stderr);
}

#[test]
fn without_one_the_commands_say_how_to_start_it() {
    let machine = Machine::new();
    for arguments in [
        &["ps"][..],
        &["status", "a"],
        &["logs", "a"],
        &["logs", "-f", "a"],
        &["cancel", "a"],
        &["delete", "a"],
    ] {
        let ended = machine.wm(arguments);
        assert_eq!(ended.code, Some(5), "{arguments:?}");
        assert!(ended.stderr.contains("next: start one in another terminal: wm local"), "{}", ended.stderr);
        let ended = machine.wm(&[arguments, &["--json"]].concat());
        assert_eq!(ended.objects()[0]["error"]["kind"], "unavailable", "{arguments:?}");
    }
}

#[test]
fn what_is_not_there_can_not_be_read_stopped_or_deleted() {
    let machine = Machine::new();
    let (_server, _) = serve(&machine);
    for command in ["status", "logs", "cancel", "delete"] {
        let ended = machine.wm(&[command, "nobody"]);
        assert_eq!(ended.code, Some(4), "{command}: {}", ended.all());
        assert!(ended.stderr.contains("wm ps --all"), "{command}: {}", ended.stderr);
    }
}

#[test]
fn faults_are_switched_on_by_a_flag_and_come_again_by_their_seed() {
    let machine = Machine::new();
    let mut server = machine.start(&["local", "--fault", "oom,names=*-weak-*", "--seed", "7", "--json"]);
    let told: Value = serde_json::from_str(&server.line()).unwrap();
    assert_eq!(told["local"]["seed"], 7);
    let strong = machine.wm(&["run", "--id", "strong", "--", "true"]);
    assert_eq!(strong.code, Some(0), "{}", strong.all());
    let weak = machine.wm(&["run", "--id", "weak", "--", "sleep", "60"]);
    assert!(weak.stderr.contains("OutOfMemory"), "{}", weak.all());

    let refused = Machine::new().wm(&["local", "--fault", "image=nope"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("image is one of not-found, unauthorized"), "{}", refused.stderr);
}
