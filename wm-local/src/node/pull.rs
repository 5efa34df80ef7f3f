//! Pulling an image. There is nothing to pull, so it works, unless a fault says otherwise.

use std::time::Duration;

use super::{
    container::{Container, Report},
    disturbance::Obstacles,
    image::Image,
    status::State,
};
use crate::{
    faults::{Effect, Hit, ImageFault},
    recorder::Severity,
};

const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

impl Container<'_> {
    /// Waits until the image can be had. Not if the pod is to stop before.
    pub(super) async fn pull(&self, image: &str) -> bool {
        let asked = self.shared.annotation(self.pod, "pull", true, |effect| fault(effect).is_some());
        let mut obstacles = Obstacles::default();
        let mut failing = |failures: u32| {
            let others =
                obstacles.now(self.shared, self.pod, "pull", image, |effect| fault(effect).is_some());
            let mut all = asked.iter().chain(others);
            let lasts = |hit: &&Hit| hit.tries.is_none_or(|tries| u64::from(failures) < tries);
            all.find(lasts).and_then(|hit| fault(&hit.effect))
        };
        let mut failures = 0;
        while let Some(fault) = failing(failures) {
            let first = self.shared.image_backoff;
            let delay = first.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_BACKOFF);
            failures += 1;
            let (error, message) = self.fail_pull(image, fault);
            self.report(Report::Is(State::Waiting { reason: error, message: message.clone() }));
            // A kubelet looks again after a while, and then says that it does not try yet.
            if !self.pause(delay / 2).await {
                return false;
            }
            if error == "ErrImagePull" && failing(failures).is_some() {
                let backing_off = format!("Back-off pulling image \"{image}\"");
                self.event(Severity::Normal, "BackOff", &backing_off);
                self.event(Severity::Warning, "Failed", "Error: ImagePullBackOff");
                let message = format!("{backing_off}: ErrImagePull: {message}");
                self.report(Report::Is(State::Waiting { reason: "ImagePullBackOff", message }));
            }
            if !self.pause(delay / 2).await {
                return false;
            }
        }
        if failures > 0 {
            let pulled = format!(
                "Successfully pulled image \"{image}\" in 1ms (1ms including waiting). Image size: 0 bytes."
            );
            self.event(Severity::Normal, "Pulled", &pulled);
        }
        true
    }

    /// Tells of a pull that failed; the reason and the message for the container's state.
    fn fail_pull(&self, image: &str, fault: ImageFault) -> (&'static str, String) {
        let failed = |reason: &str| self.event(Severity::Warning, "Failed", &format!("Error: {reason}"));
        if fault == ImageFault::InvalidName {
            let message = format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid \
                 reference format"
            );
            self.event(Severity::Warning, "InspectFailed", &message);
            failed("InvalidImageName");
            return ("InvalidImageName", message);
        }
        if fault == ImageFault::NeverPull || self.text("imagePullPolicy") == "Never" {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            self.event(Severity::Warning, "ErrImageNeverPull", &message);
            failed("ErrImageNeverPull");
            return ("ErrImageNeverPull", message);
        }
        let message = refusal(image, fault);
        self.event(Severity::Normal, "Pulling", &format!("Pulling image \"{image}\""));
        self.event(Severity::Warning, "Failed", &format!("Failed to pull image \"{image}\": {message}"));
        failed("ErrImagePull");
        ("ErrImagePull", message)
    }

    /// Waits this long, or until the faults change. Not if the pod is to stop.
    async fn pause(&self, time: Duration) -> bool {
        let mut changes = self.shared.faults.changes();
        tokio::select! {
            () = self.halt.asked() => false,
            () = self.shared.clock.sleep(time) => true,
            () = self.shared.faults.changed(&mut changes) => true,
        }
    }
}

fn fault(effect: &Effect) -> Option<ImageFault> {
    match effect {
        Effect::Image(fault) => Some(*fault),
        _ => None,
    }
}

/// What containerd says of a registry's answer.
fn refusal(image: &str, fault: ImageFault) -> String {
    let (host, path, tag) = Image::location(image);
    let unpack = format!("failed to pull and unpack image \"{image}\"");
    let resolve = format!("{unpack}: failed to resolve reference \"{image}\"");
    let status = |status: &str| {
        format!("{resolve}: pulling from host {host} failed with status code [manifests {tag}]: {status}")
    };
    match fault {
        ImageFault::NotFound | ImageFault::InvalidName | ImageFault::NeverPull => {
            format!("rpc error: code = NotFound desc = {resolve}: {image}: not found")
        }
        ImageFault::Unauthorized => status("401 Unauthorized"),
        ImageFault::Forbidden => status("403 Forbidden"),
        ImageFault::TooManyRequests => status("429 Too Many Requests"),
        ImageFault::ServerError => status("500 Internal Server Error"),
        ImageFault::Denied => format!(
            "{resolve}: pull access denied, repository does not exist or may require authorization: server message: \
             insufficient_scope: authorization failed"
        ),
        ImageFault::NoToken => format!(
            "{resolve}: failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized"
        ),
        ImageFault::Refused => {
            let port = host.rsplit_once(':').map_or("443", |(_, port)| port);
            format!(
                "{resolve}: failed to do request: Head \"https://{host}/v2/{path}/manifests/{tag}\": dial tcp \
                 192.0.2.1:{port}: connect: connection refused"
            )
        }
        ImageFault::NoPlatform => {
            format!(
                "rpc error: code = NotFound desc = {unpack}: no match for platform in manifest: not found"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_worded_as_recorded() {
        assert_eq!(
            refusal("registry.example:5000/nope:1", ImageFault::NotFound),
            "rpc error: code = NotFound desc = failed to pull and unpack image \"registry.example:5000/nope:1\": failed \
             to resolve reference \"registry.example:5000/nope:1\": registry.example:5000/nope:1: not found"
        );
        assert_eq!(
            refusal("registry.example:5603/popular:1", ImageFault::TooManyRequests),
            "failed to pull and unpack image \"registry.example:5603/popular:1\": failed to resolve reference \
             \"registry.example:5603/popular:1\": pulling from host registry.example:5603 failed with status code \
             [manifests 1]: 429 Too Many Requests"
        );
        assert!(refusal("registry.example:5609/absent:1", ImageFault::Refused).ends_with(
            "Head \"https://registry.example:5609/v2/absent/manifests/1\": dial tcp 192.0.2.1:5609: connect: \
             connection refused"
        ));
    }
}
