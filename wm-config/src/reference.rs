use std::fmt;

use crate::table::{self, Documented, Requirement, Section, Variable};

const INTRODUCTION: &str = "\
# Configuration

Everything is set by environment variables. `wm config` prints which values are in effect and where each came from.

## Rules

- All problems are reported at once, each with its variable, its value, what is allowed and an example.
- The environment wins over values files, those win over the defaults.
- Empty counts as unset. White space around a value is taken off.
- Booleans: `true`, `t`, `yes`, `y`, `on`, `1` and `false`, `f`, `no`, `n`, `off`, `0`, in any case.
- Numbers are whole and in digits: no decimal point, no unit, nothing between the digits.
- JSON is spelt as Kubernetes spells it (`onExitCodes`, not `on_exit_codes`), with double quotes, and no key twice.
- A misspelt variable is refused, and the right name is given: one letter too many, too few or wrong, two letters
  swapped, the wrong case, a word of the prefix missing or too many.
- Any other variable that begins with `ZENML_KUBERNETES_WORKLOAD_MANAGER_` or
  `ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_` and is not listed here gives a warning.
- Values files are those of the Helm chart: variables at `zenml.environment` or `server.environment`, or a plain map
  of them. The text of a value counts as it is written, quoted or not.
";

const EXAMPLE: &str = r#"
## Example

```yaml
zenml:
    environment:
        ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE: zenml_cloud_plugins.kubernetes_workload_manager.KubernetesWorkloadManager
        ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE: zenml-workload-manager
        ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT: zenml-workload-manager
        ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_RESOURCES: '{"requests": {"cpu": "100m", "memory": "400Mi"}, "limits": {"memory": "700Mi"}}'
        ZENML_SERVER_MAX_CONCURRENT_SNAPSHOT_RUNS: 10
```
"#;

/// Writes the reference page of all variables, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    for section in [Section::Server, Section::Kubernetes, Section::Aws] {
        page.push_str(&Chapter(section).to_string());
    }
    page.push_str(EXAMPLE);
    page
}

struct Chapter(Section);

impl Chapter {
    fn variables(&self) -> impl Iterator<Item = &'static Variable> {
        table::variables().filter(|entry| entry.section == self.0)
    }
}

impl fmt::Display for Chapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = match self.0 {
            Section::Server => "Server",
            Section::Kubernetes => "Kubernetes",
            Section::Aws => "AWS",
        };
        writeln!(f, "\n## {title}\n\n| Variable | Required | Default |\n|---|---|---|")?;
        for entry in self.variables() {
            let default = default_of(entry);
            writeln!(
                f,
                "| [`{}`](#{}) | {} | {default} |",
                entry.name,
                entry.name.to_lowercase(),
                entry.required
            )?;
        }
        for entry in self.variables() {
            write_entry(f, entry)?;
        }
        Ok(())
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Variable) -> fmt::Result {
    writeln!(f, "\n### `{}`\n\n{}\n", entry.name, entry.description)?;
    if entry.required != Requirement::Optional {
        writeln!(f, "- Required: {}", entry.required)?;
    }
    let default = default_of(entry);
    if !default.is_empty() {
        writeln!(f, "- Default: {default}")?;
    }
    writeln!(f, "- Allowed: {}", entry.allowed)?;
    writeln!(f, "- Example: `{}`", entry.assignment())?;
    let source = match entry.documented {
        Documented::Guide => return Ok(()),
        Documented::Server => "known to ZenML's server, newer than ZenML's guide",
        Documented::Here => "this workload manager's own, not in ZenML's guide",
    };
    writeln!(f, "- Origin: {source}")
}

fn default_of(entry: &Variable) -> String {
    let text = match entry.default {
        Some(default) => format!("`{default}`"),
        None => entry.unset.to_owned(),
    };
    match entry.local_default {
        Some(default) => format!("{text}`{default}` with an implementation that needs no cluster"),
        None => text,
    }
}
