#!/usr/bin/env bash
# Runs a ZenML pipeline as the runner of a workload on the embedded cluster, once so that it succeeds and once so that a
# step raises, and checks what `wm` tells of both. Needs Rust, Python 3.10 or later with venv, and PyPI the first time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

requirement='zenml[local]==0.98.0'
venv=$PWD/target/zenml-venv
wm=${CARGO_TARGET_DIR:-target}/debug/wm
work=$(mktemp -d)
server=
passed=0
failed=0

finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$work"
}
trap finish EXIT

# check FACT COMMAND...: counts whether the command succeeds.
check() {
    local fact=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok: $fact"
    else
        failed=$((failed + 1))
        echo "FAILED: $fact"
    fi
}

has() { grep -qF -- "$2" "$work/$1"; }
lacks() { ! grep -rqF -- "$1" "$work"; }
# The JSON file FILE makes the Python expression about `it` true.
is() { python3 -c 'import json, sys; it = json.loads(open(sys.argv[1]).read()); sys.exit(not eval(sys.argv[2]))' "$work/$1" "$2"; }
show() { sed "s/^/    /" "$work/$1"; }

# `run ID [OPTION]... -- [ARGUMENT]...` runs the pipeline; the token's value is in our environment alone.
run() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    EXAMPLE_TOKEN=$token "$wm" run --id "${options[@]}" --secret EXAMPLE_TOKEN \
        --env "EXAMPLE_TOKEN_SHA256=$token_hash" \
        --env "ZENML_CONFIG_PATH=$work/zenml" --env ZENML_ANALYTICS_OPT_IN=false \
        --env ZENML_ENABLE_RICH_TRACEBACK=false --env ZENML_LOGGING_COLORS_DISABLED=true \
        -- "$venv/bin/python" -u "$PWD/examples/zenml/pipeline.py" "${@:2}"
}

echo "== Python environment with $requirement"
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$requirement" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$requirement"
    echo "$requirement" >"$venv/installed"
fi
echo "== wm"
cargo build --quiet --locked --bin wm

echo "== wm local"
export WM_LOCAL_STATE=$work/state ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE=local
exec 3< <(exec "$wm" local --json)
server=$!
read -r served <&3
echo "$served"
token=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
token_hash=$(printf %s "$token" | sha256sum | cut -d ' ' -f 1)

echo "== a pipeline that succeeds"
code=0
run good --detach --alias its-run -- >"$work/good.id" 2>"$work/good.progress" || code=$?
show good.progress
check "it is accepted" [ "$code" -eq 0 ]
"$wm" logs -f good >"$work/good.log" 2>"$work/good.messages" || true
show good.log
check "the secret value reaches the pipeline" has good.log "example: the token is right"
check "what a step prints is in the log" has good.log "example: the mean is 21.67"
check "what a step logs is in the log" has good.log "example: averaging 3 readings"
check "what ZenML itself logs is in the log" has good.log 'Step `report` has finished'
code=0
run good --attempt 1 --alias its-run -- >"$work/again.log" 2>"$work/again.progress" || code=$?
show again.progress
check "the same attempt again gives its exit code" [ "$code" -eq 0 ]
check "and its log, as it started nothing" cmp "$work/again.log" "$work/good.log"
"$wm" status --json its-run >"$work/good.json" || true
check "the verdict is a success" is good.json 'it["verdict"]["outcome"] == "succeeded" and it["verdict"]["evidence"]["exit_code"] == 0'
"$wm" logs its-run >"$work/alias.log" 2>"$work/alias.messages" || true
check "the alias has the same log" cmp "$work/alias.log" "$work/good.log"

echo "== a pipeline with a step that raises"
code=0
run bad -- --broken >"$work/bad.out" 2>"$work/bad.progress" || code=$?
show bad.progress
echo "exit code: $code"
check "the exit code is the pipeline's own" [ "$code" -eq 1 ]
check "the verdict is told" has bad.progress "failed: the runner ended with exit code 1"
"$wm" logs bad >"$work/bad.log" 2>"$work/bad.messages" || true
check "the log is what was shown live" cmp "$work/bad.log" "$work/bad.out"
"$wm" status bad >"$work/bad.status" || true
show bad.status
"$wm" status --json bad >"$work/bad.json" || true
check "the verdict is a failure with its exit code" is bad.json 'it["verdict"]["outcome"] == "failed" and it["verdict"]["evidence"]["exit_code"] == 1'
check "the traceback is evidence" is bad.json \
    '(lambda tail: "Traceback (most recent call last):" in tail and "ValueError: example: there are no readings to average" in tail)(it["verdict"]["evidence"]["log_tail"])'
check "with the line of the step" is bad.json 'any("pipeline.py" in line and "in mean" in line for line in it["verdict"]["evidence"]["log_tail"])'

echo "== the token"
"$wm" ps --all --json >"$work/ps.json" || true
check "both runs are listed" [ "$(wc -l <"$work/ps.json")" -eq 2 ]
check "its value is in no output, log or file" lacks "$token"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
