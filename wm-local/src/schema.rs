//! The fields of the objects that clients write, and their types: what a decoder of a real server knows.

mod check;
mod core;
mod job;
mod meta;
mod pod;

pub(crate) use self::check::check;
use crate::kind::Kind;

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type {
    String,
    Bool,
    Int32,
    Int64,
    Quantity,
    /// Base64 text.
    Bytes,
    Time,
    /// Whatever it is: what is below is not looked at.
    Any,
    List(&'static Self),
    Map(&'static Self),
    Struct(&'static Struct),
}

/// A structure by its name in Kubernetes' source, which refusals mention.
#[derive(Debug)]
pub(crate) struct Struct {
    name: &'static str,
    fields: &'static [(&'static str, Type)],
}

impl Type {
    /// The type of the objects of a kind.
    pub(crate) fn of(kind: Kind) -> Self {
        Self::Struct(match kind {
            Kind::Job => &job::JOB,
            Kind::Pod => &pod::POD,
            Kind::Secret => &core::SECRET,
            Kind::ConfigMap => &core::CONFIG_MAP,
            Kind::ServiceAccount => &core::SERVICE_ACCOUNT,
            Kind::Namespace => &core::NAMESPACE,
            Kind::Event => &core::EVENT,
            Kind::Node => &core::NODE,
            Kind::ResourceQuota => &core::RESOURCE_QUOTA,
            Kind::LimitRange => &core::LIMIT_RANGE,
        })
    }

    /// The type of a member, or of an item if there is no name. `None` if there is no such field.
    pub(crate) fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Struct(structure) => {
                structure.fields.iter().find(|(field, _)| *field == name).map(|(_, kind)| *kind)
            }
            Self::Map(item) => Some(*item),
            // A value of a wrong type is told of elsewhere.
            _ => Some(Self::Any),
        }
    }

    pub(crate) fn item(self) -> Self {
        match self {
            Self::List(item) => *item,
            _ => Self::Any,
        }
    }
}

/// Writes a field's type as short as it reads: `string`, `[string]` for lists, `{string}` for maps, or a structure.
macro_rules! field_type {
    (string) => { Type::String };
    (bool) => { Type::Bool };
    (int32) => { Type::Int32 };
    (int64) => { Type::Int64 };
    (quantity) => { Type::Quantity };
    (bytes) => { Type::Bytes };
    (time) => { Type::Time };
    (any) => { Type::Any };
    ([$($item:tt)+]) => { Type::List(&field_type!($($item)+)) };
    ({$($item:tt)+}) => { Type::Map(&field_type!($($item)+)) };
    ($structure:path) => { Type::Struct(&$structure) };
}

/// Declares structures.
macro_rules! structures {
    ($($constant:ident $name:literal { $($field:ident: $kind:tt),* $(,)? })*) => {
        $(pub(super) static $constant: Struct = Struct {
            name: $name,
            fields: &[$((stringify!($field), field_type!($kind))),*],
        };)*
    };
}

use {field_type, structures};
