//! The other kinds of the core group.

use super::{
    Struct, Type, field_type,
    meta::{LOCAL_OBJECT_REFERENCE, OBJECT_META},
    structures,
};

structures! {
    SECRET "Secret" {
        kind: string, apiVersion: string, metadata: OBJECT_META, immutable: bool, data: {bytes}, stringData: {string},
        type: string,
    }
    CONFIG_MAP "ConfigMap" {
        kind: string, apiVersion: string, metadata: OBJECT_META, immutable: bool, data: {string}, binaryData: {bytes},
    }
    SERVICE_ACCOUNT "ServiceAccount" {
        kind: string, apiVersion: string, metadata: OBJECT_META, secrets: [OBJECT_REFERENCE],
        imagePullSecrets: [LOCAL_OBJECT_REFERENCE], automountServiceAccountToken: bool,
    }
    NAMESPACE "Namespace" { kind: string, apiVersion: string, metadata: OBJECT_META, spec: {any}, status: {any} }
    NODE "Node" { kind: string, apiVersion: string, metadata: OBJECT_META, spec: {any}, status: {any} }
    RESOURCE_QUOTA "ResourceQuota" {
        kind: string, apiVersion: string, metadata: OBJECT_META, spec: RESOURCE_QUOTA_SPEC, status: {any},
    }
    RESOURCE_QUOTA_SPEC "ResourceQuotaSpec" { hard: {quantity}, scopes: [string], scopeSelector: any }
    LIMIT_RANGE "LimitRange" {
        kind: string, apiVersion: string, metadata: OBJECT_META, spec: LIMIT_RANGE_SPEC,
    }
    LIMIT_RANGE_SPEC "LimitRangeSpec" { limits: [LIMIT_RANGE_ITEM] }
    LIMIT_RANGE_ITEM "LimitRangeItem" {
        type: string, max: {quantity}, min: {quantity}, default: {quantity}, defaultRequest: {quantity},
        maxLimitRequestRatio: {quantity},
    }
    EVENT "Event" {
        kind: string, apiVersion: string, metadata: OBJECT_META, involvedObject: OBJECT_REFERENCE, reason: string,
        message: string, source: EVENT_SOURCE, firstTimestamp: time, lastTimestamp: time, count: int32, type: string,
        eventTime: time, series: any, action: string, related: OBJECT_REFERENCE, reportingComponent: string,
        reportingInstance: string,
    }
    EVENT_SOURCE "EventSource" { component: string, host: string }
    OBJECT_REFERENCE "ObjectReference" {
        kind: string, namespace: string, name: string, uid: string, apiVersion: string, resourceVersion: string,
        fieldPath: string,
    }
}
