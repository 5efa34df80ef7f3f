#!/usr/bin/env bash
# The full AWS configuration of the users' guide, as printed, with the embedded cluster for EKS and moto for S3 and ECR:
# an image that ECR has is found, a run's log is kept in S3 and read back when its Job is gone. Needs Rust, Python 3.10 or
# later with venv, and PyPI the first time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

requirement='moto[server]==5.2.2'
venv=$PWD/target/moto-venv
wm=${CARGO_TARGET_DIR:-target}/debug/wm
work=$(mktemp -d)
servers=()
passed=0
failed=0

finish() {
    local server
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
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
show() { sed "s/^/    /" "$work/$1"; }

echo "== Python environment with $requirement"
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$requirement" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$requirement"
    echo "$requirement" >"$venv/installed"
fi
echo "== wm"
cargo build --quiet --locked --bin wm

echo "== an embedded cluster"
export WM_LOCAL_STATE=$work/state
exec 3< <(exec "$wm" local --json)
servers+=($!)
read -r served <&3
echo "$served"
export KUBECONFIG=$work/state/kubeconfig

echo "== S3 and ECR"
exec 4< <(exec "$venv/bin/python" examples/aws/server.py 2>"$work/moto.log")
servers+=($!)
read -r endpoint <&4
echo "$endpoint"
export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
export AWS_ENDPOINT_URL=$endpoint AWS_EC2_METADATA_DISABLED=true

# The guide's values.
export ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE=zenml_cloud_plugins.aws_kubernetes_workload_manager.AWSKubernetesWorkloadManager
export ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE=zenml-workspace-namespace
export ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT=zenml-workspace-service-account
export ZENML_KUBERNETES_WORKLOAD_MANAGER_BUILD_RUNNER_IMAGE=true
export ZENML_KUBERNETES_WORKLOAD_MANAGER_DOCKER_REGISTRY=339712793861.dkr.ecr.eu-central-1.amazonaws.com
export ZENML_KUBERNETES_WORKLOAD_MANAGER_ENABLE_EXTERNAL_LOGS=true
export ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_RESOURCES='{"requests": {"cpu": "100m", "memory": "400Mi"}, "limits": {"memory": "700Mi"}}'
export ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_BUCKET=s3://my-bucket/run-template-logs
export ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_REGION=eu-central-1
export ZENML_KUBERNETES_WORKLOAD_MANAGER_NODE_SELECTOR='{"node-pool": "zenml-pool"}'
export ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATIONS='[{"key": "node-pool", "operator": "Equal", "value": "zenml-pool", "effect": "NoSchedule"}]'
export ZENML_SERVER_MAX_CONCURRENT_TEMPLATE_RUNS=10
# What stands for S3 is no S3.
export ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_S3_ENDPOINT=$endpoint

prepare() { "$venv/bin/python" examples/aws/prepare.py "$@"; }
prepare cluster "$KUBECONFIG" "$ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE" \
    "$ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT" node-pool zenml-pool
prepare bucket my-bucket eu-central-1

echo "== an image that ECR has"
image=$("$wm" image resolve --parent python:3.12 --pip requests 2>"$work/resolve.messages" | grep -o '[^ ]*amazonaws.com/[^ ]*')
echo "$image"
check "the image has its place in ECR" test "${image%%/*}" = "$ZENML_KUBERNETES_WORKLOAD_MANAGER_DOCKER_REGISTRY"
code=0
"$wm" image probe "$image" >"$work/absent" 2>&1 || code=$?
check "before it is pushed it is not there" [ "$code" -eq 4 ]
digest=$(prepare image "$image" eu-central-1)
"$wm" image build --parent python:3.12 --pip requests >"$work/built" 2>"$work/build.messages" || true
show built
check "once it is there, it is not built but taken by its digest" has built "@$digest"

echo "== a run"
code=0
"$wm" run --id nightly --image "$(cat "$work/built")" -- sh -c 'echo hello from the pod; echo more; exit 3' \
    >"$work/run" 2>"$work/run.progress" || code=$?
show run.progress
check "the exit code is the runner's" [ "$code" -eq 3 ]
"$wm" logs nightly >"$work/log" 2>"$work/log.messages" || true
check "its log is there while its Job is" has log "hello from the pod"
prepare objects my-bucket eu-central-1 >"$work/objects"
show objects
check "in S3 under the prefix" has objects "run-template-logs/v1/w/nightly/"
check "and sealed" has objects "run-template-logs/v1/w/nightly/ended/"
prepare forget "$KUBECONFIG" "$ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE"
"$wm" logs nightly >"$work/later" 2>"$work/later.messages" || true
check "and the same when the Job is gone" cmp "$work/later" "$work/log"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
