//! Environment variables to typed settings, every problem at once.
//!
//! One table describes every variable: its default, when it is required, what is allowed. From it come the
//! typed [`Settings`], the problems' words, the list that `wm config` prints and the reference page. Values are
//! merged by figment (defaults, then files, then the environment) as the text that somebody wrote; only the
//! table's own parsers give them a type, so a registry named `339712793861` or a tag `1.10` stays what it is.
//!
//! ```
//! use wm_config::{Family, Loader};
//!
//! let environment = [
//!     ("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "kubernetes"),
//!     ("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE", "runners"),
//!     ("ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT", "Runner"),
//! ];
//! let problems = Loader::new()
//!     .known_source("kubernetes", Family::Kubernetes)
//!     .environment(environment.map(|(name, value)| (name.into(), value.into())))
//!     .load()
//!     .unwrap_err();
//!
//! let problem = problems.iter().next().unwrap();
//! assert_eq!(problem.variable, "ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT");
//! ```

mod assembly;
mod effective;
mod family;
mod grammar;
mod helm;
mod loader;
mod problem;
mod reader;
mod reference;
mod sensitive;
mod settings;
mod source;
mod spelling;
mod table;
pub mod variable;

pub use crate::effective::{EffectiveValue, Origin};
pub use crate::family::Family;
pub use crate::loader::{Loaded, Loader};
pub use crate::problem::{FieldProblem, Problem, Problems, Warning};
pub use crate::reference::reference;
pub use crate::sensitive::Sensitive;
pub use crate::settings::{
    AwsSection, BuilderEngine, BuilderSection, ImagePullPolicy, KubernetesSection, LauncherSection, Mirror,
    PlainSecrets, PodSecurity, S3Encryption, S3Location, Settings,
};
pub use crate::table::{Documented, Requirement, Section, Variable, variables};
