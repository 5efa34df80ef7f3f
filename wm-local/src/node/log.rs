//! The log of a container: a file in the runtime's format, written from its pipes and read back by the API.

pub(crate) mod frame;
pub(crate) mod reader;
pub(crate) mod writer;

pub(crate) use self::{
    reader::{LogOptions, read, tail},
    writer::{LogHandle, LogLimits, LogWriter},
};

#[cfg(test)]
mod tests;
