//! The settings as a whole: each variable read once, and the rules between them.

use crate::{
    effective::{EffectiveValue, Origin},
    family::Family,
    problem::Warning,
    reader::Reader,
    sensitive::Sensitive,
    settings::{AwsSection, BuilderSection, KubernetesSection, LauncherSection, Settings},
    table::{self, Circumstances, Variable},
};

/// Reads everything. What can't be read is reported, and stands as empty in the result.
pub(crate) fn assemble(reader: &mut Reader<'_>, implementation_source: String, family: Family) -> Settings {
    let launcher = launcher_section(reader);
    let kubernetes = kubernetes_section(reader);
    let aws = AwsSection {
        bucket: reader.read(&table::BUCKET),
        region: reader.read(&table::REGION),
        s3_endpoint: reader.read(&table::S3_ENDPOINT),
        s3_encryption: reader.read(&table::S3_ENCRYPTION),
        create_repositories: reader.read(&table::CREATE_REPOSITORIES).unwrap_or_default(),
    };
    let circumstances = Circumstances {
        family,
        building: kubernetes.build_runner_image,
        external_logs: kubernetes.enable_external_logs,
    };
    for variable in table::variables().skip(1) {
        reader.require(variable, circumstances);
    }
    check_together(reader, circumstances, &kubernetes);
    Settings { implementation_source, family, kubernetes, aws, launcher, effective: effective(reader) }
}

/// Adds what the warnings say to the variables that they are about.
pub(crate) fn annotate(effective: &mut [EffectiveValue], warnings: &[Warning]) {
    for value in effective {
        if let Some(warning) = warnings.iter().find(|warning| warning.variable == value.variable) {
            value.note = Some(warning.message.clone());
        }
    }
}

fn launcher_section(reader: &mut Reader<'_>) -> LauncherSection {
    let newer = reader.read(&table::MAX_CONCURRENT_SNAPSHOT_RUNS);
    let older = reader.read(&table::MAX_CONCURRENT_TEMPLATE_RUNS);
    let is_newer_set = reader.is_set(&table::MAX_CONCURRENT_SNAPSHOT_RUNS.variable);
    if let (true, Some(newer), Some(older)) = (is_newer_set, newer, older)
        && newer != older
    {
        let message = format!(
            "is ignored: {} is set too, to {newer}",
            table::MAX_CONCURRENT_SNAPSHOT_RUNS.variable.name
        );
        reader.warn_if_set(&table::MAX_CONCURRENT_TEMPLATE_RUNS.variable, &message);
    }
    LauncherSection {
        max_concurrent_runs: if is_newer_set { newer } else { older }.unwrap_or_default(),
        max_queued_runs: reader.read(&table::MAX_QUEUED_SNAPSHOT_RUNS).unwrap_or_default(),
        start_retries: reader.read(&table::START_RETRIES).unwrap_or_default(),
    }
}

fn kubernetes_section(reader: &mut Reader<'_>) -> KubernetesSection {
    KubernetesSection {
        namespace: reader.read(&table::NAMESPACE).unwrap_or_default(),
        service_account: reader.read(&table::SERVICE_ACCOUNT).unwrap_or_default(),
        build_runner_image: reader.read(&table::BUILD_RUNNER_IMAGE).unwrap_or_default(),
        docker_registry: reader.read(&table::DOCKER_REGISTRY),
        runner_image: reader.read(&table::RUNNER_IMAGE),
        enable_external_logs: reader.read(&table::ENABLE_EXTERNAL_LOGS).unwrap_or_default(),
        log_archive: reader.read(&table::LOG_ARCHIVE),
        pod_resources: reader.read(&table::POD_RESOURCES),
        ttl_seconds_after_finished: reader.read(&table::TTL_SECONDS_AFTER_FINISHED).unwrap_or_default(),
        node_selector: reader.read(&table::NODE_SELECTOR).unwrap_or_default(),
        tolerations: reader.read(&table::TOLERATIONS),
        job_backoff_limit: reader.read(&table::JOB_BACKOFF_LIMIT).unwrap_or_default(),
        pod_failure_policy: reader.read(&table::POD_FAILURE_POLICY),
        image_pull_policy: reader.read(&table::IMAGE_PULL_POLICY),
        image_pull_secrets: reader.read(&table::IMAGE_PULL_SECRETS).unwrap_or_default(),
        pod_security: reader.read(&table::POD_SECURITY).unwrap_or_default(),
        pod_template_patch: reader.read(&table::POD_TEMPLATE_PATCH).map(Sensitive::new),
        termination_grace_period_seconds: reader
            .read(&table::TERMINATION_GRACE_PERIOD_SECONDS)
            .unwrap_or_default(),
        schedule_timeout_seconds: reader.read(&table::SCHEDULE_TIMEOUT_SECONDS).unwrap_or_default(),
        start_timeout_seconds: reader.read(&table::START_TIMEOUT_SECONDS).unwrap_or_default(),
        image_pull_grace_seconds: reader.read(&table::IMAGE_PULL_GRACE_SECONDS).unwrap_or_default(),
        plain_secrets: reader.read(&table::PLAIN_SECRETS).unwrap_or_default(),
        kubeconfig_context: reader.read(&table::KUBECONFIG_CONTEXT),
        builder: builder_section(reader),
        plain_http_registries: reader.read(&table::PLAIN_HTTP_REGISTRIES).unwrap_or_default(),
        docker_config_file: reader.read(&table::DOCKER_CONFIG_FILE),
        pin_image_digests: reader.read(&table::PIN_IMAGE_DIGESTS).unwrap_or_default(),
    }
}

fn builder_section(reader: &mut Reader<'_>) -> BuilderSection {
    BuilderSection {
        engine: reader.read(&table::BUILDER_ENGINE).unwrap_or_default(),
        image: reader.read(&table::BUILDER_IMAGE),
        resources: reader.read(&table::BUILDER_RESOURCES),
        timeout_seconds: reader.read(&table::BUILDER_TIMEOUT_SECONDS).unwrap_or_default(),
        service_account: reader.read(&table::BUILDER_SERVICE_ACCOUNT),
        docker_config_secret: reader.read(&table::BUILDER_DOCKER_CONFIG_SECRET),
        cache_repository: reader.read(&table::BUILDER_CACHE_REPOSITORY),
        platform: reader.read(&table::BUILDER_PLATFORM),
        ca_bundle_config_map: reader.read(&table::BUILDER_CA_BUNDLE_CONFIG_MAP),
        mirrors: reader.read(&table::BUILDER_MIRRORS).unwrap_or_default(),
        rebuild_salt: reader.read(&table::BUILDER_REBUILD_SALT),
        maximum_age_seconds: reader.read(&table::BUILDER_MAXIMUM_AGE_SECONDS),
    }
}

/// The variables that only matter when images are built.
fn only_for_building() -> [&'static Variable; 12] {
    [
        &table::BUILDER_ENGINE.variable,
        &table::BUILDER_IMAGE.variable,
        &table::BUILDER_RESOURCES.variable,
        &table::BUILDER_TIMEOUT_SECONDS.variable,
        &table::BUILDER_SERVICE_ACCOUNT.variable,
        &table::BUILDER_DOCKER_CONFIG_SECRET.variable,
        &table::BUILDER_CACHE_REPOSITORY.variable,
        &table::BUILDER_PLATFORM.variable,
        &table::BUILDER_CA_BUNDLE_CONFIG_MAP.variable,
        &table::BUILDER_MIRRORS.variable,
        &table::BUILDER_REBUILD_SALT.variable,
        &table::BUILDER_MAXIMUM_AGE_SECONDS.variable,
    ]
}

fn check_together(reader: &mut Reader<'_>, circumstances: Circumstances, kubernetes: &KubernetesSection) {
    let Circumstances { family, building, external_logs } = circumstances;
    if external_logs && family != Family::Aws {
        let variable = &table::ENABLE_EXTERNAL_LOGS.variable;
        let text = reader.text(variable).map(|(text, _)| text);
        reader.report.allowing(
            variable,
            text.as_deref(),
            "Currently, this is only supported with the AWS implementation",
            "false, or the AWS implementation".to_owned(),
        );
    }
    if external_logs {
        reader.warn_if_set(&table::LOG_ARCHIVE.variable, "is ignored: logs are stored in the bucket");
    }
    if building {
        reader.warn_if_set(&table::RUNNER_IMAGE.variable, "is ignored: runner images are built");
        if kubernetes.pin_image_digests {
            let message = "has no effect: images that are built are always named by digest";
            reader.warn_if_set(&table::PIN_IMAGE_DIGESTS.variable, message);
        }
    } else {
        for variable in [&table::DOCKER_REGISTRY.variable].into_iter().chain(only_for_building()) {
            reader.warn_if_set(variable, "has no effect: runner images are not built");
        }
        if !kubernetes.pin_image_digests {
            for variable in [&table::PLAIN_HTTP_REGISTRIES.variable, &table::DOCKER_CONFIG_FILE.variable] {
                reader.warn_if_set(variable, "has no effect: no registry is asked about images");
            }
        }
    }
    if family != Family::Aws {
        let own = [
            &table::BUCKET.variable,
            &table::REGION.variable,
            &table::S3_ENDPOINT.variable,
            &table::S3_ENCRYPTION.variable,
            &table::CREATE_REPOSITORIES.variable,
        ];
        for variable in own {
            reader.warn_if_set(variable, "has no effect: only the AWS implementation uses it");
        }
    } else if !external_logs {
        for variable in
            [&table::BUCKET.variable, &table::S3_ENDPOINT.variable, &table::S3_ENCRYPTION.variable]
        {
            reader.warn_if_set(variable, "has no effect: logs are not stored externally");
        }
    }
    if kubernetes.ttl_seconds_after_finished == 0 {
        let message =
            "finished Jobs are deleted at once, and with them all of their logs that was not read yet";
        reader.warn_if_set(&table::TTL_SECONDS_AFTER_FINISHED.variable, message);
    }
    if kubernetes.job_backoff_limit > 0 {
        let message = "a runner that Kubernetes starts again may submit its pipeline a second time";
        reader.warn_if_set(&table::JOB_BACKOFF_LIMIT.variable, message);
    }
}

fn effective(reader: &Reader<'_>) -> Vec<EffectiveValue> {
    let newer = &table::MAX_CONCURRENT_SNAPSHOT_RUNS.variable;
    let older = &table::MAX_CONCURRENT_TEMPLATE_RUNS.variable;
    table::variables()
        .map(|entry| {
            // Two names of one setting: the one that is not set shows what the other one says.
            let twin = match entry.name {
                name if name == newer.name => Some(older),
                name if name == older.name => Some(newer),
                _ => None,
            };
            let twin = twin.filter(|twin| reader.is_set(twin) && !reader.is_set(entry));
            let (value, origin) = match reader.text(twin.unwrap_or(entry)) {
                Some((text, origin)) => (Some(entry.redacted(&text)), origin),
                None => (None, Origin::Default),
            };
            let note = match (twin, &value) {
                (Some(twin), _) => Some(format!("from {}", twin.name)),
                (None, None) => Some(entry.unset.to_owned()),
                (None, Some(_)) => None,
            };
            EffectiveValue { variable: entry.name, value, origin, note: note.filter(|note| !note.is_empty()) }
        })
        .collect()
}
