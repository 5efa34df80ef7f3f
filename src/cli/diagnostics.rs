//! What the libraries tell of their work.

use std::io;

use tracing_subscriber::EnvFilter;

/// Writes it to stderr, if it is asked for by `-v` or `RUST_LOG`.
pub(super) fn install(verbosity: u8) {
    let wanted = match verbosity {
        0 => None,
        1 => Some("info"),
        2 => Some(
            "info,workload_manager=debug,wm=debug,wm_config=debug,wm_image=debug,wm_k8s=debug,wm_local=debug",
        ),
        _ => Some("debug"),
    };
    let filter = match (EnvFilter::try_from_default_env(), wanted) {
        (Ok(filter), _) => filter,
        (Err(_), Some(wanted)) => EnvFilter::new(wanted),
        (Err(_), None) => return,
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}
