use std::{net::SocketAddr, path::PathBuf};

use serde_json::json;
use wm_local::{ClusterOptions, Fault};
use workload_manager::{ErrorKind, local::LocalServer};

use super::{
    exit,
    failure::{CommandResult, Failure},
    interrupts::Interrupts,
    output::{self, Output},
    session,
};

const EXAMPLES: &str = "\
Examples:
  wm local                          then, in another terminal: wm run --detach -- sh -c 'echo hello; sleep 60'
  wm local --port 6443 --directory ./cluster
  wm local --fault image=not-found,names=train-* --fault latency=200ms,rate=0.1 --seed 7

Its pods are processes of this machine with the rights of the user who starts it. The other commands find it by
themselves; kubectl takes the kubeconfig that is printed. It serves this machine only, and who has the token.";

/// Serve the embedded cluster until Ctrl-C
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LocalArguments {
    /// The port on the loopback address; a free one by default
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,

    /// Where pods and their logs are kept; a temporary directory by default
    #[arg(long)]
    directory: Option<PathBuf>,

    /// Something that goes wrong, such as `error=503,rate=0.2`; may be given more than once. wm-local/FAULTS.md lists all
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,

    /// From this follow the uids, and what the faults hit; another one each time by default
    #[arg(long)]
    seed: Option<u64>,
}

impl LocalArguments {
    pub(crate) async fn run(self, output: Output) -> CommandResult {
        let configuration = session::load()?;
        let mut interrupts = Interrupts::listen()?;
        // The namespace of a configuration for a real cluster too, so that it can be tried out here.
        let section = &configuration.settings.kubernetes;
        let mut options = ClusterOptions::default();
        options.directory = self.directory;
        options.address = SocketAddr::from(([127, 0, 0, 1], self.port));
        options.namespaces = vec![section.namespace.clone()];
        options.service_accounts = vec![(section.namespace.clone(), section.service_account.clone())];
        options.faults = self.faults;
        options.seed = self.seed.unwrap_or(options.seed);
        let has_faults = !options.faults.is_empty();
        let seed = options.seed;
        let server = LocalServer::start(options).await.map_err(|error| {
            let is_second = error.kind() == ErrorKind::Conflict;
            let failure = Failure::from(error);
            if is_second {
                failure.advising("use the one that runs: wm ps; or end it with Ctrl-C in its terminal")
            } else {
                failure
            }
        })?;
        let told = tell(&server, has_faults.then_some(seed), output);
        if told.is_ok() {
            interrupts.next().await;
        }
        server.shutdown().await;
        told?;
        Ok(exit::OK)
    }
}

/// Tells how to reach it, and by which seed its faults can be had again.
fn tell(server: &LocalServer, seed: Option<u64>, output: Output) -> std::io::Result<()> {
    let kubeconfig = server.kubeconfig_path().display();
    if output.is_json() {
        return output::object(
            &json!({ "local": { "url": server.url(), "kubeconfig": kubeconfig.to_string(), "seed": seed } }),
        );
    }
    let faults = seed.map(|seed| format!("Its faults come again with --seed {seed}\n")).unwrap_or_default();
    output::text(&format!(
        "\
The embedded cluster serves {url}
Its kubeconfig is {kubeconfig}
{faults}
In another terminal:
  wm run --detach -- sh -c 'echo hello; sleep 60'
  wm ps

With kubectl:
  export KUBECONFIG={kubeconfig}
  kubectl get jobs,pods

Ctrl-C ends it, with all that it runs.
",
        url = server.url()
    ))
}
