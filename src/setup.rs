use std::{
    ffi::{OsStr, OsString},
    fmt,
    sync::Arc,
};

use serde_json::{Map, Value};
use wm_config::{Family, FieldProblem, Loader, Problems, Settings, Warning, variable};
use wm_core::{
    Error, ErrorKind, ImageReference, ImageRequest, ManagerFactory, ManifestProbe as _, Probe, Registry,
    ResolvedImage, Result, WorkloadManager,
};
use wm_k8s::{KubernetesSettings, rules};

use crate::{
    Launcher, LauncherSettings, PlannedBuild,
    sources::{self, ManagerOptions},
};

/// Makes the launcher that the process's environment variables describe.
///
/// # Errors
/// `InvalidConfig` with all problems of the variables at once; whatever keeps the implementation from its cluster.
pub async fn from_env() -> Result<Launcher> {
    Setup::from_process().load().map_err(invalid)?.launcher().await
}

fn invalid(problems: Problems) -> Error {
    Error::new(ErrorKind::InvalidConfig, problems.to_string()).with_source(problems)
}

/// Gathers what a configuration is loaded from: variables, files, implementation sources.
///
/// ```
/// use workload_manager::Setup;
///
/// let configuration = Setup::new()
///     .environment([("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "local")])
///     .load()?;
/// assert_eq!(configuration.settings.launcher.max_concurrent_runs, 2);
/// # Ok::<(), wm_config::Problems>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Setup {
    registry: Registry,
    environment: Vec<(OsString, OsString)>,
    helm: Vec<(String, String)>,
    default_source: Option<String>,
}

impl Setup {
    /// Begins with the built-in implementation sources and without any variable.
    pub fn new() -> Self {
        Self {
            registry: sources::registry(),
            environment: Vec::new(),
            helm: Vec::new(),
            default_source: None,
        }
    }

    /// Begins with the built-in implementation sources and the variables of this process.
    pub fn from_process() -> Self {
        Self::new().environment(std::env::vars_os())
    }

    /// Adds an implementation under its source string.
    pub fn source(mut self, source: impl Into<String>, factory: impl ManagerFactory) -> Self {
        self.registry.register(source, factory);
        self
    }

    /// Adds variables; later ones win.
    pub fn environment(
        mut self,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Self {
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Adds variables from Helm values as the users' guide prints them; the environment wins over them.
    pub fn helm_yaml(mut self, text: impl Into<String>, origin: impl Into<String>) -> Self {
        self.helm.push((text.into(), origin.into()));
        self
    }

    /// Names the implementation that is used when no variable does.
    pub fn default_source(mut self, source: impl Into<String>) -> Self {
        self.default_source = Some(source.into());
        self
    }

    /// Loads the configuration; touches nothing outside this process.
    ///
    /// # Errors
    /// All problems at once, each with its variable.
    pub fn load(self) -> Result<Configuration, Problems> {
        let mut loader = Loader::new()
            .environment(self.environment.iter().cloned())
            .check(variable::POD_RESOURCES, |value| fields(rules::resources(value)))
            .check(variable::BUILDER_RESOURCES, |value| fields(rules::resources(value)))
            .check(variable::NODE_SELECTOR, |value| fields(rules::node_selector(value)))
            .check(variable::TOLERATIONS, |value| fields(rules::tolerations(value)))
            .check(variable::POD_FAILURE_POLICY, |value| fields(rules::pod_failure_policy(value)))
            .check(variable::POD_TEMPLATE_PATCH, |value| fields(rules::pod_template_patch(value)));
        for (text, origin) in &self.helm {
            loader = loader.helm_yaml(text, origin);
        }
        for source in self.registry.sources() {
            loader = loader.known_source(source, sources::family(self.registry.canonical(source)));
        }
        if let Some(source) = &self.default_source {
            loader = loader.default_source(source);
        }
        let loaded = loader.load()?;
        Ok(Configuration {
            settings: loaded.settings,
            warnings: loaded.warnings,
            registry: self.registry,
            environment: self.environment,
        })
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the variables: nobody knows which of them are secret.
impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("registry", &self.registry)
            .field("default_source", &self.default_source)
            .finish_non_exhaustive()
    }
}

fn fields(problems: Vec<rules::FieldProblem>) -> Vec<FieldProblem> {
    problems
        .into_iter()
        .map(|problem| FieldProblem { field: problem.field, detail: problem.detail })
        .collect()
}

/// A configuration that is whole and checked.
#[derive(Clone)]
pub struct Configuration {
    /// What is in effect.
    pub settings: Settings,
    /// What works and is worth knowing all the same.
    pub warnings: Vec<Warning>,
    registry: Registry,
    environment: Vec<(OsString, OsString)>,
}

impl Configuration {
    /// The full name of the implementation source.
    pub fn source(&self) -> &str {
        self.registry.canonical(&self.settings.implementation_source)
    }

    /// Whether the embedded cluster is used.
    pub fn is_local(&self) -> bool {
        self.settings.family == Family::Local
    }

    /// How runs are made on a cluster; `None` for an implementation that is not built in.
    pub fn kubernetes(&self) -> Option<KubernetesSettings> {
        (self.settings.family != Family::Other).then(|| ManagerOptions::new(&self.settings).kubernetes)
    }

    /// The variable that sets an option of the implementation; `None` for one that takes none.
    pub fn variable(&self, option: &str) -> Option<String> {
        let name = option.to_ascii_uppercase();
        if self.settings.family != Family::Other {
            return Some(format!("{}{name}", variable::KUBERNETES_PREFIX));
        }
        let factory = self.registry.factory(self.source()).ok()?;
        factory.environment_prefix().map(|prefix| format!("{prefix}{name}"))
    }

    /// Tells which image a workload's runner would start from, without asking anybody.
    ///
    /// # Errors
    /// `Unsupported` when the image would have to be built, or the implementation is not built in.
    pub async fn resolve_image(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        if self.settings.family == Family::Other {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "only the implementation itself knows the image; it is not a built-in one",
            )
            .with_context("source", self.source()));
        }
        ManagerOptions::new(&self.settings).images.name(request).await
    }

    /// Asks the registry of an image whether it has it, with this server's own credentials.
    ///
    /// # Errors
    /// `InvalidConfig` when there can be no client; a registry that does not tell is [`Probe::Unknown`].
    pub async fn probe_image(&self, image: &ImageReference) -> Result<Probe> {
        let registries = ManagerOptions::new(&self.settings).registries(self.settings.family).await?;
        Ok(registries.probe.probe(image).await)
    }

    /// Shows what would build the image of a request, without building it; `None` where images are not built.
    ///
    /// # Errors
    /// `InvalidRequest` when there is nothing to build from.
    pub async fn plan_build(&self, request: &ImageRequest) -> Result<Option<PlannedBuild>> {
        if self.settings.family == Family::Other {
            return Ok(None);
        }
        ManagerOptions::new(&self.settings).images.plan(request).await
    }

    /// Makes the implementation.
    ///
    /// # Errors
    /// `InvalidConfig` or `Unsupported` for options that it refuses; whatever keeps it from its cluster.
    pub async fn manager(&self) -> Result<Arc<dyn WorkloadManager>> {
        let factory = self.registry.factory(self.source())?;
        let options = self.options(factory.as_ref())?;
        factory.check(&options)?;
        factory.build(&options).await
    }

    /// Makes the implementation, and a launcher that admits runs to it.
    ///
    /// # Errors
    /// As [`manager`](Self::manager).
    pub async fn launcher(&self) -> Result<Launcher> {
        Ok(Launcher::new(self.manager().await?, LauncherSettings::from(&self.settings.launcher)))
    }

    fn options(&self, factory: &dyn ManagerFactory) -> Result<Value> {
        if self.settings.family != Family::Other {
            return serde_json::to_value(ManagerOptions::new(&self.settings)).map_err(|error| {
                Error::new(ErrorKind::Unexpected, "the settings can't be handed to the implementation")
                    .with_source(error)
            });
        }
        let Some(prefix) = factory.environment_prefix() else { return Ok(Value::Object(Map::new())) };
        let mut options = Map::new();
        for (name, value) in &self.environment {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
            options.insert(key.to_ascii_lowercase(), Value::String(text(key, prefix, value)?));
        }
        Ok(Value::Object(options))
    }
}

/// Without the variables: nobody knows which of them are secret.
impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("settings", &self.settings)
            .field("warnings", &self.warnings)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

fn text(key: &str, prefix: &str, value: &OsStr) -> Result<String> {
    value.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::InvalidConfig, "the variable's value is not UTF-8; write it as UTF-8 text")
            .with_context("variable", format!("{prefix}{key}"))
    })
}
