//! The configuration file with which kubectl and other clients find the cluster.

use std::net::SocketAddr;

/// A kubeconfig for this server and token. All values are safe to quote: none holds a quote or a backslash.
///
/// The token is in it twice: kubectl leaves out the user's token where there is no TLS, and takes the one in the
/// address; other clients take the user's.
pub(crate) fn kubeconfig(address: SocketAddr, token: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: workload-manager-local\n\
         \x20 cluster:\n\
         \x20   server: \"http://token:{token}@{address}\"\n\
         users:\n\
         - name: workload-manager-local\n\
         \x20 user:\n\
         \x20   token: \"{token}\"\n\
         contexts:\n\
         - name: workload-manager-local\n\
         \x20 context:\n\
         \x20   cluster: workload-manager-local\n\
         \x20   user: workload-manager-local\n\
         \x20   namespace: \"{namespace}\"\n\
         current-context: workload-manager-local\n"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_kubeconfig_is_yaml_with_server_and_token() {
        let text = kubeconfig(([127, 0, 0, 1], 1).into(), "secret", "default");
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(value["clusters"][0]["cluster"], json!({"server": "http://token:secret@127.0.0.1:1"}));
        assert_eq!(value["users"][0]["user"], json!({"token": "secret"}));
        assert_eq!(value["contexts"][0]["name"], value["current-context"]);
        assert_eq!(value["contexts"][0]["context"]["namespace"], "default");
    }
}
