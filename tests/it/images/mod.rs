//! Runner images with real parts: Debian's `docker-registry` and `buildah`, where they are. A builder on the embedded
//! cluster is a real process that builds a real image.

mod builds;
mod lookups;
pub(crate) mod parts;
