//! The numbers of the fields that kubectl's typed commands set.

/// A message by the name of its kind.
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(u64, &'static str, Field)],
}

/// The type of a field.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Text,
    Texts,
    TextMap,
    /// Bytes, which are base64 in JSON.
    BytesMap,
    One(&'static Message),
    Many(&'static Message),
}

/// The kinds that are sent in protobuf.
pub(super) static MESSAGES: [Message; 8] = [
    Message {
        name: "Job",
        fields: &[METADATA, (2, "spec", Field::One(&JOB_SPEC)), (3, "status", Field::One(&EMPTY))],
    },
    Message {
        name: "Secret",
        fields: &[
            METADATA,
            (2, "data", Field::BytesMap),
            (3, "type", Field::Text),
            (4, "stringData", Field::TextMap),
        ],
    },
    Message {
        name: "ConfigMap",
        fields: &[METADATA, (2, "data", Field::TextMap), (3, "binaryData", Field::BytesMap)],
    },
    Message {
        name: "Namespace",
        fields: &[METADATA, (2, "spec", Field::One(&EMPTY)), (3, "status", Field::One(&EMPTY))],
    },
    Message { name: "ServiceAccount", fields: &[METADATA] },
    Message {
        name: "SelfSubjectAccessReview",
        fields: &[METADATA, (2, "spec", Field::One(&ACCESS)), (3, "status", Field::One(&EMPTY))],
    },
    Message {
        name: "SelfSubjectRulesReview",
        fields: &[METADATA, (2, "spec", Field::One(&RULES)), (3, "status", Field::One(&EMPTY))],
    },
    Message { name: "SelfSubjectReview", fields: &[METADATA, (2, "status", Field::One(&SUBJECT))] },
];

pub(super) static TYPE_META: Message =
    Message { name: "TypeMeta", fields: &[(1, "apiVersion", Field::Text), (2, "kind", Field::Text)] };

const METADATA: (u64, &str, Field) = (1, "metadata", Field::One(&OBJECT_META));

static OBJECT_META: Message = Message {
    name: "ObjectMeta",
    fields: &[
        (1, "name", Field::Text),
        (2, "generateName", Field::Text),
        (3, "namespace", Field::Text),
        (11, "labels", Field::TextMap),
        (12, "annotations", Field::TextMap),
    ],
};

static JOB_SPEC: Message = Message { name: "JobSpec", fields: &[(6, "template", Field::One(&POD_TEMPLATE))] };

static POD_TEMPLATE: Message =
    Message { name: "PodTemplateSpec", fields: &[METADATA, (2, "spec", Field::One(&POD_SPEC))] };

static POD_SPEC: Message = Message {
    name: "PodSpec",
    fields: &[(2, "containers", Field::Many(&CONTAINER)), (3, "restartPolicy", Field::Text)],
};

static CONTAINER: Message = Message {
    name: "Container",
    fields: &[
        (1, "name", Field::Text),
        (2, "image", Field::Text),
        (3, "command", Field::Texts),
        (4, "args", Field::Texts),
    ],
};

static ACCESS: Message = Message {
    name: "SelfSubjectAccessReviewSpec",
    fields: &[
        (1, "resourceAttributes", Field::One(&RESOURCE)),
        (2, "nonResourceAttributes", Field::One(&NON_RESOURCE)),
    ],
};

static RESOURCE: Message = Message {
    name: "ResourceAttributes",
    fields: &[
        (1, "namespace", Field::Text),
        (2, "verb", Field::Text),
        (3, "group", Field::Text),
        (4, "version", Field::Text),
        (5, "resource", Field::Text),
        (6, "subresource", Field::Text),
        (7, "name", Field::Text),
    ],
};

static NON_RESOURCE: Message =
    Message { name: "NonResourceAttributes", fields: &[(1, "path", Field::Text), (2, "verb", Field::Text)] };

static RULES: Message =
    Message { name: "SelfSubjectRulesReviewSpec", fields: &[(1, "namespace", Field::Text)] };

static SUBJECT: Message =
    Message { name: "SelfSubjectReviewStatus", fields: &[(1, "userInfo", Field::One(&EMPTY))] };

/// What the server writes and a client leaves empty.
static EMPTY: Message = Message { name: "status", fields: &[] };
