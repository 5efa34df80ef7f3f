//! `batch/v1`.

use super::{
    Struct, Type, field_type,
    meta::{LABEL_SELECTOR, OBJECT_META},
    pod::POD_TEMPLATE_SPEC,
    structures,
};

structures! {
    JOB "Job" { kind: string, apiVersion: string, metadata: OBJECT_META, spec: JOB_SPEC, status: JOB_STATUS }
    JOB_SPEC "JobSpec" {
        parallelism: int32, completions: int32, activeDeadlineSeconds: int64, podFailurePolicy: POD_FAILURE_POLICY,
        successPolicy: SUCCESS_POLICY, backoffLimit: int32, backoffLimitPerIndex: int32, maxFailedIndexes: int32,
        selector: LABEL_SELECTOR, manualSelector: bool, template: POD_TEMPLATE_SPEC, ttlSecondsAfterFinished: int32,
        completionMode: string, suspend: bool, podReplacementPolicy: string, managedBy: string,
    }
    POD_FAILURE_POLICY "PodFailurePolicy" { rules: [POD_FAILURE_POLICY_RULE] }
    POD_FAILURE_POLICY_RULE "PodFailurePolicyRule" {
        action: string, onExitCodes: ON_EXIT_CODES, onPodConditions: [ON_POD_CONDITION],
    }
    ON_EXIT_CODES "PodFailurePolicyOnExitCodesRequirement" { containerName: string, operator: string, values: [int32] }
    ON_POD_CONDITION "PodFailurePolicyOnPodConditionsPattern" { type: string, status: string }
    SUCCESS_POLICY "SuccessPolicy" { rules: [SUCCESS_POLICY_RULE] }
    SUCCESS_POLICY_RULE "SuccessPolicyRule" { succeededIndexes: string, succeededCount: int32 }
    JOB_STATUS "JobStatus" {
        conditions: [JOB_CONDITION], startTime: time, completionTime: time, active: int32, succeeded: int32,
        failed: int32, terminating: int32, completedIndexes: string, failedIndexes: string,
        uncountedTerminatedPods: UNCOUNTED_TERMINATED_PODS, ready: int32,
    }
    JOB_CONDITION "JobCondition" {
        type: string, status: string, lastProbeTime: time, lastTransitionTime: time, reason: string, message: string,
    }
    UNCOUNTED_TERMINATED_PODS "UncountedTerminatedPods" { succeeded: [string], failed: [string] }
}
