//! Whatever is written into whichever variable: settings or named problems, and never a panic.

use proptest::{
    prelude::*,
    sample::{Index, select},
};
use wm_config::variable;

use crate::{loader, pairs};

const SOURCES: [&str; 4] = ["kubernetes", "aws", "local", "acme.Batch"];

/// Text that resembles something, or nothing at all.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "-?[0-9]{1,12}",
        "[a-z0-9./:@-]{1,80}",
        "s3://[A-Za-z0-9./?-]{0,70}",
        r#"[\{\}\[\]":,a-z0-9 ]{0,40}"#,
        r#"\{"[a-z_]{1,9}": ("[a-z]{0,3}"|[0-9]{1,3}|null|\[\])\}"#,
    ]
}

proptest! {
    #[test]
    fn any_value_gives_settings_or_named_problems(
        source in select(&SOURCES[..]),
        values in prop::collection::vec((any::<Index>(), text()), 1..6),
    ) {
        let table: Vec<&str> = wm_config::variables().map(|entry| entry.name).collect();
        let mut environment = pairs(&[(variable::IMPLEMENTATION_SOURCE, source)]);
        environment.extend(values.iter().map(|(index, value)| (index.get(&table).into(), value.into())));
        match loader().environment(environment).load() {
            Ok(loaded) => {
                prop_assert_eq!(loaded.settings.effective().len(), table.len());
                prop_assert!(serde_json::to_string(&loaded.settings).is_ok());
            }
            Err(problems) => {
                prop_assert!(problems.len() > 0);
                for problem in &problems {
                    prop_assert!(table.contains(&problem.variable.as_str()), "{}", problem);
                    prop_assert!(!problem.message.is_empty() && !problem.allowed.is_empty());
                }
            }
        }
    }

    #[test]
    fn any_environment_is_taken(names in prop::collection::vec(("(ZENML_(KUBERNETES|AWS|SERVER)_)?[A-Z_é]{0,30}", text()), 0..8)) {
        let environment = names.into_iter().map(|(name, value)| (name.into(), value.into()));
        let loaded = loader().default_source("local").environment(environment).load();
        prop_assert!(loaded.is_ok() || loaded.is_err_and(|problems| problems.len() > 0));
    }

    #[test]
    fn any_file_is_taken(text in prop_oneof![any::<String>(), "[a-z:{}\\[\\]\"' \n#&*<!|>-]{0,60}"]) {
        if let Err(problems) = loader().default_source("local").helm_yaml(&text, "any.yaml").load() {
            prop_assert!(problems.iter().all(|problem| problem.variable == "any.yaml"), "{}", problems);
        }
    }
}
