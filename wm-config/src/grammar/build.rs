//! What is particular to building images.

use crate::{
    grammar::{Parsed, fault, image},
    settings::{BuilderEngine, Mirror},
};

pub(crate) fn engine(text: &str) -> Parsed<BuilderEngine> {
    match text.to_ascii_lowercase().as_str() {
        "kaniko" => Ok(BuilderEngine::Kaniko),
        "buildkit" => Ok(BuilderEngine::BuildKit),
        "buildah" => Ok(BuilderEngine::Buildah),
        _ => fault("is not an engine that builds images here"),
    }
}

/// `linux/<architecture>[/<variant>]`.
pub(crate) fn platform(text: &str) -> Parsed<String> {
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        ["linux", ..] if (2..=3).contains(&parts.len()) && parts.iter().all(|part| is_word(part)) => {
            Ok(text.to_owned())
        }
        ["linux", ..] => fault("does not name an architecture behind linux/"),
        _ => fault("is not a platform of Linux"),
    }
}

/// At least an hour.
pub(crate) fn age(text: &str) -> Parsed<u32> {
    match crate::grammar::scalar::positive(text)? {
        seconds if seconds < 3600 => {
            fault("is less than an hour (3600): images would be built again and again")
        }
        seconds => Ok(seconds),
    }
}

/// Registries, `host[:port]`, with commas between them.
pub(crate) fn hosts(text: &str) -> Parsed<Vec<String>> {
    let mut faults = Vec::new();
    let mut hosts: Vec<String> = Vec::new();
    for host in text.split(',').map(str::trim) {
        match image::registry(host) {
            _ if host.contains('/') => {
                faults.push(format!("has {host:?}, which is not just a host and a port"));
            }
            Err(why) => faults.extend(why.into_iter().map(|why| format!("has {host:?}, which {why}"))),
            Ok(host) if hosts.contains(&host) => faults.push(format!("names {host:?} twice")),
            Ok(host) => hosts.push(host),
        }
    }
    if faults.is_empty() { Ok(hosts) } else { Err(faults) }
}

/// `registry=mirror` pairs with commas between them.
pub(crate) fn mirrors(text: &str) -> Parsed<Vec<Mirror>> {
    let mut faults = Vec::new();
    let mut mirrors = Vec::new();
    for pair in text.split(',').map(str::trim) {
        let Some((registry, location)) = pair.split_once('=') else {
            faults.push(format!("has {pair:?}, which has no = between a registry and its mirror"));
            continue;
        };
        let (registry, location) = (registry.trim(), location.trim());
        let parsed = (hosts(registry), image::registry(location));
        match parsed {
            (Ok(_), Ok(location)) => mirrors.push(Mirror { registry: registry.to_owned(), location }),
            (registry, location) => {
                faults.extend(registry.err().into_iter().flatten());
                let why = location.err().into_iter().flatten();
                faults.extend(why.map(|why| {
                    format!(
                        "has the mirror {:?}, which {why}",
                        pair.split_once('=').map_or("", |(_, mirror)| mirror)
                    )
                }));
            }
        }
    }
    if faults.is_empty() { Ok(mirrors) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_have_names() {
        assert_eq!(engine("Kaniko"), Ok(BuilderEngine::Kaniko));
        assert_eq!(engine("BuildKit"), Ok(BuilderEngine::BuildKit));
        assert!(engine("docker").is_err());
    }

    #[test]
    fn a_platform_is_an_architecture_of_linux() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(platform(text).as_deref(), Ok(text));
        }
        for text in ["linux", "linux/", "amd64", "windows/amd64", "linux/a/b/c", "linux/ARM64"] {
            assert!(platform(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_age_is_an_hour_at_least() {
        assert_eq!(age("3600"), Ok(3600));
        assert!(age("3599").is_err());
        assert!(age("a week").is_err());
    }

    #[test]
    fn lists_tell_what_is_wrong_with_each_entry() {
        assert_eq!(hosts("r.io:5000, localhost").unwrap(), ["r.io:5000", "localhost"]);
        assert_eq!(hosts("http://r.io,r.io/a,a.b,a.b").unwrap_err().len(), 3);
        let mirror = |registry: &str, location: &str| Mirror {
            registry: registry.to_owned(),
            location: location.to_owned(),
        };
        assert_eq!(
            mirrors("docker.io=m.example.com/hub/, ghcr.io=m.example.com:5000").unwrap(),
            [mirror("docker.io", "m.example.com/hub"), mirror("ghcr.io", "m.example.com:5000")]
        );
        assert_eq!(mirrors("docker.io,a.b/c=d.e,a.b=https://d.e").unwrap_err().len(), 3);
    }
}
