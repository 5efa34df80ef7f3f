use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{api::route::Subresource, store::Store};

fn full_job() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "a", "labels": {"a": "b"}, "annotations": {"c": "d"}, "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]},
        "spec": {
            "backoffLimit": 1,
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]},
            "template": {"metadata": {"labels": {}}, "spec": {
                "restartPolicy": "Never",
                "tolerations": [{"key": "k", "operator": "Exists"}],
                "volumes": [{"name": "v", "downwardAPI": {}}, {"name": "w"}],
                "containers": [{
                    "name": "main", "image": "i", "ports": [{"containerPort": 1}],
                    "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "resources": {"limits": {"cpu": 1}, "requests": {"cpu": "1"}},
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                }],
            }},
        },
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z0-9 ./_-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,8}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// All places in a value, the whole first.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), all));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), all));
        }
        _ => {}
    }
}

fn admit(kind: Kind, object: Value) -> Result<Value, ApiError> {
    let mut warnings = Warnings::default();
    let document = Document::from_value(object, Type::of(kind)).unwrap();
    let mut object = decode(kind, document, FieldValidation::Warn, &mut warnings)?;
    check_place(kind, "default", &mut object)?;
    strip_for_create(kind, &mut object);
    Store::new(crate::clock::Clock::system(), 0).identify(kind, "default", &mut object);
    admit_new(kind, &mut object, &mut warnings)?;
    Ok(object)
}

proptest! {
    #[test]
    fn no_job_makes_admission_panic(place in any::<prop::sample::Index>(), value in any_json()) {
        let mut job = full_job();
        let mut all = Vec::new();
        places(&job, "", &mut all);
        *job.pointer_mut(&all[place.index(all.len())]).unwrap() = value;
        if let Ok(admitted) = admit(Kind::Job, job.clone()) {
            let changed = admit_update(Kind::Job, Subresource::None, &admitted, job, &mut Warnings::default());
            prop_assert!(changed.is_ok() || changed.is_err_and(|error| error.code < 500));
        }
    }

    #[test]
    fn no_pod_makes_admission_panic(place in any::<prop::sample::Index>(), value in any_json()) {
        let mut pod = json!({"metadata": {"name": "a"}, "spec": full_job()["spec"]["template"]["spec"]});
        let mut all = Vec::new();
        places(&pod, "", &mut all);
        *pod.pointer_mut(&all[place.index(all.len())]).unwrap() = value;
        if let Err(error) = admit(Kind::Pod, pod) {
            prop_assert!(error.code < 500);
        }
    }

    #[test]
    fn no_content_makes_admission_panic(value in any_json()) {
        for kind in [Kind::Secret, Kind::ConfigMap, Kind::Event, Kind::Namespace, Kind::ServiceAccount] {
            for member in ["metadata", "data", "stringData", "type", "involvedObject", "status"] {
                let mut object = json!({"metadata": {"name": "a"}});
                object[member] = value.clone();
                if let Err(error) = admit(kind, object) {
                    prop_assert!(error.code < 500);
                }
            }
        }
    }
}

#[test]
fn an_admitted_job_is_not_changed_by_admitting_it_again() {
    let admitted = admit(Kind::Job, full_job()).unwrap();
    let again =
        admit_update(Kind::Job, Subresource::None, &admitted, admitted.clone(), &mut Warnings::default());
    assert_eq!(again.unwrap(), admitted);
}
