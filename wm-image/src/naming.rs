//! What a built image is called: by its content.

use std::time::{Duration, SystemTime};

use wm_core::{Error, ErrorKind, ImageReference, ImageRequest, Result};

use crate::{
    dockerfile::{check_dockerfile, dockerfile_hash, generate_dockerfile},
    plan::Fingerprint,
    settings::BuilderSettings,
};

/// The repository of runner images, as the server calls it.
const REPOSITORY: &str = "zenml-runner";

/// An image that is wanted, built or not.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) image: ImageReference,
    pub(crate) dockerfile: String,
}

impl Wanted {
    /// Names what a request asks for.
    ///
    /// The name that the caller gave stays as it is if its tag says what is in the image, and nothing else decides about
    /// the content; else a hash of what does is added.
    pub(crate) fn new(request: &ImageRequest, settings: &BuilderSettings, now: SystemTime) -> Result<Self> {
        let dockerfile = match (&request.dockerfile, &request.requirements) {
            (Some(text), _) => check_dockerfile(text.clone()),
            (None, Some(requirements)) => generate_dockerfile(requirements),
            (None, None) => Err(Error::new(
                ErrorKind::InvalidRequest,
                "there is neither a Dockerfile nor a list of requirements to build the runner's image from, and no image to take instead; pass one of them, or set a prebuilt runner image",
            )),
        }
        .map_err(|error| error.with_context("workload", request.workload.as_str()))?;
        let hash = dockerfile_hash(&dockerfile);
        let name = name(request.image_name.as_deref(), &hash)
            .map_err(|error| error.with_context("workload", request.workload.as_str()))?;
        let image = settings.image_of(&name)?;
        let tag = image.tag().unwrap_or(&hash).to_owned();
        let mut decisive = Vec::new();
        if !tag.contains(&hash) {
            decisive.push(("dockerfile", hash));
        }
        if let Some(platform) = &settings.platform {
            decisive.push(("platform", platform.to_string()));
        }
        if let Some(salt) = &settings.rebuild_salt {
            decisive.push(("salt", salt.clone()));
        }
        if let Some(age) = settings.maximum_age_seconds {
            decisive.push(("period", format!("{} of {age}", period(&image, age, now))));
        }
        let image = if decisive.is_empty() {
            image
        } else {
            let hash =
                decisive.iter().fold(Fingerprint::new(), |hash, (key, value)| hash.field(key).field(value));
            image.with_tag(&format!("{tag}-{}", &hash.finish().1[..12]))?
        };
        Ok(Self { image, dockerfile })
    }
}

/// The name without the registry, with a tag.
fn name(given: Option<&str>, hash: &str) -> Result<String> {
    let Some(given) = given.filter(|name| !name.is_empty()) else {
        return Ok(format!("{REPOSITORY}:{hash}"));
    };
    let image: ImageReference = given.parse()?;
    if image.registry().is_some() || image.digest().is_some() {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "the name of an image that is to be built has neither registry nor digest: the registry is configured",
        )
        .with_context("image", given));
    }
    Ok(format!("{}:{}", image.repository(), image.tag().unwrap_or(hash)))
}

/// The number of the period in which an image is built once. Each image has its own beginning, so that not all are built
/// anew at once.
fn period(image: &ImageReference, seconds: u64, now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (_, hash) = Fingerprint::new().field(image.as_str()).finish();
    let shift = u64::from_str_radix(&hash[..8], 16).unwrap_or_default() % seconds;
    (since + shift) / seconds
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wm_core::{ImageRequirements, WorkloadId, WorkloadKind};

    use super::*;

    const HASH: &str = "6b04b49db060cc779055da6c9b8434d2";
    const TEXT: &str = "FROM zenmldocker/zenml:0.98.0-py3.12";

    fn request() -> ImageRequest {
        ImageRequest::new(WorkloadId::new("w").unwrap(), WorkloadKind::Run, None)
    }

    fn named(request: &ImageRequest, change: impl FnOnce(&mut BuilderSettings)) -> Result<String> {
        let mut settings = BuilderSettings::new("r.io/team");
        change(&mut settings);
        Ok(Wanted::new(request, &settings, at(0))?.image.to_string())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_name_that_users_have_stays() {
        let own = request().with_dockerfile(TEXT).with_image_name(format!("zenml-runner:{HASH}"));
        assert_eq!(named(&own, |_| ()).unwrap(), format!("r.io/team/zenml-runner:{HASH}"));
        let unnamed = request().with_dockerfile(TEXT);
        assert_eq!(named(&unnamed, |_| ()).unwrap(), format!("r.io/team/zenml-runner:{HASH}"));
        let requirements = ImageRequirements::new("zenmldocker/zenml:0.98.0-py3.12".parse().unwrap());
        let generated = request().with_requirements(requirements);
        assert_eq!(named(&generated, |_| ()).unwrap(), format!("r.io/team/zenml-runner:{HASH}"));
    }

    #[test]
    fn whatever_decides_about_the_content_is_in_the_name() {
        let own = request().with_dockerfile(TEXT).with_image_name(format!("zenml-runner:{HASH}"));
        let names = [
            named(&own, |_| ()),
            named(&own, |s| s.platform = Some("linux/arm64".parse().unwrap())),
            named(&own, |s| s.rebuild_salt = Some("linux/arm64".to_owned())),
            named(&own, |s| s.maximum_age_seconds = Some(86_400)),
            named(&own, |s| s.maximum_age_seconds = Some(86_401)),
            named(&request().with_dockerfile(TEXT).with_image_name("zenml-runner:mine"), |_| ()),
            named(&request().with_dockerfile("FROM a").with_image_name("zenml-runner:mine"), |_| ()),
            named(&request().with_dockerfile("FROM a"), |_| ()),
        ];
        let names: BTreeSet<_> = names.into_iter().map(Result::unwrap).collect();
        assert_eq!(names.len(), 8, "{names:#?}");
        assert!(names.iter().all(|name| name.len() < "r.io/team/zenml-runner:".len() + 46), "{names:#?}");
    }

    #[test]
    fn an_image_is_built_anew_when_it_is_too_old() {
        let own = request().with_dockerfile(TEXT);
        let mut settings = BuilderSettings::new("r.io/team");
        settings.maximum_age_seconds = Some(3600);
        let name = |seconds| Wanted::new(&own, &settings, at(seconds)).unwrap().image;
        let changes = (0..7200).filter(|second| name(second + 1) != name(*second)).count();
        assert_eq!(changes, 2, "once an hour");
    }

    #[test]
    fn what_can_be_no_image_is_refused() {
        let wrong = [
            request(),
            request().with_dockerfile(" "),
            request().with_dockerfile(TEXT).with_image_name("r.io/zenml-runner:1"),
            request().with_dockerfile(TEXT).with_image_name(format!("a@sha256:{}", "0".repeat(64))),
            request().with_dockerfile(TEXT).with_image_name("Zenml Runner"),
        ];
        for request in wrong {
            let error = named(&request, |_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
            assert!(error.to_string().contains("workload: w"), "{error}");
        }
    }
}
