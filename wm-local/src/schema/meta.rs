//! What all kinds have in common.

use super::{Struct, Type, field_type, structures};

structures! {
    OBJECT_META "ObjectMeta" {
        name: string, generateName: string, namespace: string, selfLink: string, uid: string, resourceVersion: string,
        generation: int64, creationTimestamp: time, deletionTimestamp: time, deletionGracePeriodSeconds: int64,
        labels: {string}, annotations: {string}, ownerReferences: [OWNER_REFERENCE], finalizers: [string],
        managedFields: any,
    }
    OWNER_REFERENCE "OwnerReference" {
        apiVersion: string, kind: string, name: string, uid: string, controller: bool, blockOwnerDeletion: bool,
    }
    LABEL_SELECTOR "LabelSelector" { matchLabels: {string}, matchExpressions: [LABEL_SELECTOR_REQUIREMENT] }
    LABEL_SELECTOR_REQUIREMENT "LabelSelectorRequirement" { key: string, operator: string, values: [string] }
    LOCAL_OBJECT_REFERENCE "LocalObjectReference" { name: string }
}
