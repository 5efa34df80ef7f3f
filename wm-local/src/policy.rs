//! What a namespace allows in it: the levels of Pod Security.

mod security;
mod standards;

pub(crate) use self::security::review;
