//! From the text of a variable to its type: pure functions, one fault a sentence.

pub(crate) mod archive;
pub(crate) mod bucket;
pub(crate) mod build;
pub(crate) mod image;
pub(crate) mod json;
pub(crate) mod name;
pub(crate) mod region;
pub(crate) mod scalar;

/// A value, or everything that is wrong with its text.
pub(crate) type Parsed<T> = Result<T, Vec<String>>;

/// The one thing that is wrong.
pub(crate) fn fault<T>(message: impl Into<String>) -> Parsed<T> {
    Err(vec![message.into()])
}
