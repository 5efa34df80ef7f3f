use wm_k8s::RoleScope;

use super::{exit, failure::CommandResult, manifests, output::Output, session};

const EXAMPLES: &str = "\
Examples:
  wm role --server zenml-server --server-namespace zenml | kubectl apply -f -
  wm role --narrow

Namespace and service account of the runners are those of the configuration (`wm config`).";

/// Print the service account, role and role binding that a server needs, as YAML
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RoleArguments {
    /// Only the rights that the users' guide names; the manager does without the others: it asks again and again instead
    /// of watching, holds no runs, and writes secret values into the Jobs
    #[arg(long)]
    narrow: bool,

    /// The service account as which the server runs
    #[arg(long, value_name = "NAME", default_value = "zenml-server")]
    server: String,

    /// The namespace of that service account; the runners' own by default
    #[arg(long, value_name = "NAMESPACE")]
    server_namespace: Option<String>,
}

impl RoleArguments {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let settings = session::kubernetes(&session::load()?)?;
        let scope = if self.narrow { RoleScope::Narrow } else { RoleScope::Full };
        let namespace = &settings.namespace;
        let server_namespace = self.server_namespace.as_ref().unwrap_or(namespace);
        let objects =
            wm_k8s::role(scope, namespace, &settings.service_account, &self.server, server_namespace);
        manifests::print(&objects, output)?;
        Ok(exit::OK)
    }
}
