//! How the lists of a pod template are merged: the `patchStrategy` and `patchMergeKey` tags of the Go types.

/// The key of a directive for an object or for the element of a list.
pub(crate) const PATCH: &str = "$patch";
/// The key of the list of fields to keep.
pub(crate) const RETAIN_KEYS: &str = "$retainKeys";
/// The start of the key that orders a list.
pub(crate) const SET_ORDER: &str = "$setElementOrder/";
/// The start of the key that takes elements out of a list of texts.
pub(crate) const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

/// What a patch does to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListStrategy {
    /// It replaces the list.
    Replace,
    /// It adds what is missing.
    Union,
    /// It merges the elements that have the same value under this key.
    MergeBy(&'static str),
}

/// The strategy of a list by its field: no two lists of a pod template have one name and two strategies.
pub(crate) fn list_strategy(field: &str) -> ListStrategy {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates" => ListStrategy::MergeBy("name"),
        "ports" => ListStrategy::MergeBy("containerPort"),
        "volumeMounts" => ListStrategy::MergeBy("mountPath"),
        "volumeDevices" => ListStrategy::MergeBy("devicePath"),
        "hostAliases" => ListStrategy::MergeBy("ip"),
        "topologySpreadConstraints" => ListStrategy::MergeBy("topologyKey"),
        "ownerReferences" => ListStrategy::MergeBy("uid"),
        "finalizers" => ListStrategy::Union,
        _ => ListStrategy::Replace,
    }
}
