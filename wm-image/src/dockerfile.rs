//! Dockerfiles: generated from requirements, and named by their content.

use md5::{Digest as _, Md5};
use wm_core::{Error, ErrorKind, ImageRequirements, PythonInstaller, Result};

use crate::plan::hex;

/// The longest Dockerfile, in bytes: it travels as an annotation, and all of a pod's have 256 KiB together.
pub const LONGEST_DOCKERFILE: usize = 128 * 1024;

/// Writes the Dockerfile of what is required, as the server does for its own: so both have the same hash.
///
/// Packages for `apt-get` are sorted, requirements for pip keep their order; what is there twice is written once. Each
/// word is quoted for the shell, so that it reaches the installer as it is.
///
/// # Errors
/// `InvalidRequest` for a requirement that no line of a Dockerfile can hold.
pub fn generate_dockerfile(requirements: &ImageRequirements) -> Result<String> {
    let mut apt = words(&requirements.apt_packages)?;
    apt.sort_unstable();
    let pip = words(&requirements.pip_requirements)?;
    let mut lines = vec![format!("FROM {}", requirements.parent)];
    if !apt.is_empty() {
        let command = "apt-get update && apt-get install -y --no-install-recommends";
        lines.push(format!("RUN {command} {}", quoted(&apt)));
    }
    if !pip.is_empty() {
        let command = match requirements.installer {
            PythonInstaller::Uv => {
                lines.push("RUN pip install uv".to_owned());
                "uv pip install --no-cache-dir"
            }
            PythonInstaller::Pip => "pip install --default-timeout=60 --no-cache-dir",
        };
        lines.push(format!("RUN {command} {}", quoted(&pip)));
    }
    check_dockerfile(lines.join("\n"))
}

/// Checks what needs no parser: that there is something, that it is text, that it is not too long.
///
/// # Errors
/// `InvalidRequest`.
pub(crate) fn check_dockerfile(text: String) -> Result<String> {
    let problem = if text.trim().is_empty() {
        "is empty; it needs at least a FROM line".to_owned()
    } else if text.contains('\0') {
        "has a NUL character".to_owned()
    } else if text.len() > LONGEST_DOCKERFILE {
        format!(
            "has {} bytes, more than the {LONGEST_DOCKERFILE} that travel with a pod; install from a requirements file in the parent image",
            text.len()
        )
    } else {
        return Ok(text);
    };
    Err(Error::new(ErrorKind::InvalidRequest, format!("the Dockerfile {problem}")))
}

/// The content hash that is the tag of a runner image.
pub fn dockerfile_hash(dockerfile: &str) -> String {
    hex(&Md5::digest(dockerfile.as_bytes()))
}

fn words(words: &[String]) -> Result<Vec<&str>> {
    let mut all = Vec::new();
    for word in words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
        if word.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "a requirement has a control character, such as a line break; write each as one entry",
            )
            .with_context("requirement", format!("{word:?}")));
        }
        if word.starts_with('-') {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "a requirement begins with '-', which the installer takes for an option; name packages only",
            )
            .with_context("requirement", word));
        }
        if !all.contains(&word) {
            all.push(word);
        }
    }
    Ok(all)
}

/// Between single quotes a shell takes everything as it is, but a single quote: that one stands between double quotes.
fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{}'", word.replace('\'', "'\"'\"'"))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn requirements(apt: &[&str], pip: &[&str], installer: PythonInstaller) -> ImageRequirements {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        ImageRequirements {
            parent: "zenmldocker/zenml:0.98.0-py3.12".parse().unwrap(),
            apt_packages: owned(apt),
            pip_requirements: owned(pip),
            installer,
        }
    }

    const INTEGRATIONS: [&str; 8] = [
        "Jinja2",
        "aws-profile-manager",
        "boto3",
        "kubernetes",
        "kubernetes>=21.7,<26",
        "pytz>=2021.1",
        "s3fs>2022.3.0,!=2025.3.1",
        "sagemaker>=2.237.3,<3.0.0",
    ];

    #[test]
    fn the_hashes_are_those_that_users_have() {
        let hash = |requirements| dockerfile_hash(&generate_dockerfile(&requirements).unwrap());
        let uv = PythonInstaller::Uv;
        assert_eq!(hash(requirements(&[], &[], uv)), "6b04b49db060cc779055da6c9b8434d2");
        assert_eq!(hash(requirements(&[], &INTEGRATIONS, uv)), "b118517fe05437a7f696b84895bdd4ba");
        let pip = PythonInstaller::Pip;
        assert_eq!(hash(requirements(&[], &INTEGRATIONS, pip)), "fa561d5915d67abc540656ba30e82b43");
        let mut older = requirements(&["git"], &["boto3"], uv);
        older.parent = "zenmldocker/zenml:0.98.0-py3.11".parse().unwrap();
        assert_eq!(hash(older), "ad23ff19499df59aa21d8df068a7debc");
    }

    /// What a real server sent, as it was recorded.
    #[test]
    fn a_recorded_dockerfile_is_generated_with_its_hash() {
        let mut recorded = requirements(
            &[],
            &["Jinja2", "aws-profile-manager", "boto3", "kubernetes>=21.7,<26", "s3fs>2022.3.0,!=2025.3.1"],
            PythonInstaller::Uv,
        );
        recorded.parent = "zenmldocker/zenml:0.98.0-py3.11".parse().unwrap();
        let text = generate_dockerfile(&recorded).unwrap();
        assert_eq!(dockerfile_hash(&text), "725d2f83a7b3c8c28180d5868ad68b37");
    }

    #[test]
    fn the_text_is_that_of_the_server() {
        let text = generate_dockerfile(&requirements(
            &["rsync", "openssh-client", "rsync"],
            &[" boto3 ", "", "boto3"],
            PythonInstaller::Uv,
        ));
        assert_eq!(
            text.unwrap(),
            "FROM zenmldocker/zenml:0.98.0-py3.12\n\
             RUN apt-get update && apt-get install -y --no-install-recommends 'openssh-client' 'rsync'\n\
             RUN pip install uv\n\
             RUN uv pip install --no-cache-dir 'boto3'"
        );
    }

    const AWKWARD: [&str; 9] = [
        "great-expectations>=0.17.15,<1.0; python_version < '3.14'",
        "a ; extra == \"x\"",
        "'",
        "''a''",
        "$HOME $(id) `id` ${PATH}",
        "back\\slash\\",
        "<<EOF",
        "# not a comment",
        "pk\u{e9}t \u{1f4e6} \u{65e5}\u{672c}",
    ];

    /// The instructions of a Dockerfile as its parser cuts them: a backslash at the end of a line goes on.
    fn instructions(dockerfile: &str) -> Vec<String> {
        dockerfile.replace("\\\n", "").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_shell_takes_each_requirement_as_it_is() {
        let text = generate_dockerfile(&requirements(&AWKWARD, &AWKWARD, PythonInstaller::Pip)).unwrap();
        let lines = instructions(&text);
        assert_eq!(lines.len(), 3, "{text}");
        for line in &lines[1..] {
            let (_, list) = line.split_once(" --no-").unwrap();
            let (_, list) = list.split_once(' ').unwrap();
            let output = Command::new("sh").arg("-c").arg(format!("printf '%s\\n' {list}")).output().unwrap();
            let taken = String::from_utf8(output.stdout).unwrap();
            let mut expected = AWKWARD.to_vec();
            if line.contains("apt-get") {
                expected.sort_unstable();
            }
            assert_eq!(taken.lines().collect::<Vec<_>>(), expected, "{line}");
        }
    }

    #[test]
    fn what_a_line_cannot_hold_is_refused() {
        for word in ["a\nRUN evil", "a\rb", "a\0", "--index-url=http://evil", "-r x"] {
            for list in [
                requirements(&[word], &[], PythonInstaller::Uv),
                requirements(&[], &[word], PythonInstaller::Uv),
            ] {
                let error = generate_dockerfile(&list).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{word:?}");
                assert!(error.to_string().contains("requirement"), "{error}");
            }
        }
    }

    #[test]
    fn a_dockerfile_that_does_not_fit_a_pod_is_refused() {
        let long = "a".repeat(LONGEST_DOCKERFILE + 1);
        for text in ["", " \n", "FROM a\0", long.as_str()] {
            let error = check_dockerfile(text.to_owned()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        }
        assert!(check_dockerfile("a".repeat(LONGEST_DOCKERFILE)).is_ok());
    }

    proptest! {
        #[test]
        fn every_word_comes_back_from_the_run_line(words in prop::collection::vec("[^-\\s\\p{Cc}][^\\p{Cc}]{0,20}", 1..6)) {
            let list: Vec<&str> = words.iter().map(String::as_str).collect();
            let text = generate_dockerfile(&requirements(&[], &list, PythonInstaller::Uv)).unwrap();
            let lines = instructions(&text);
            prop_assert_eq!(lines.len(), 3);
            let parsed = shlex::split(lines[2].strip_prefix("RUN ").unwrap()).unwrap();
            prop_assert_eq!(&parsed[..4], ["uv", "pip", "install", "--no-cache-dir"]);
            let mut expected: Vec<&str> = Vec::new();
            for word in list.iter().map(|word| word.trim()) {
                if !word.is_empty() && !expected.contains(&word) { expected.push(word); }
            }
            prop_assert_eq!(&parsed[4..], expected);
        }
    }
}
