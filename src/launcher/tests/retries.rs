//! Runs whose programs never began.

use std::collections::BTreeMap;

use wm_core::AttemptRequest;

use super::*;

/// A backend that runs nothing: how each attempt ends is written down.
#[derive(Debug)]
struct Fated {
    /// How the attempts of every workload end, the first one first; later ones succeed.
    fates: Vec<Fate>,
    submitted: Mutex<Vec<(RunRequest, Submission)>>,
    ended: Mutex<BTreeMap<Attempt, RunStatus>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    NeverBegan,
    MayHaveBegun,
}

impl Fated {
    fn new(fates: &[Fate]) -> Arc<Self> {
        Arc::new(Self { fates: fates.to_vec(), submitted: Mutex::default(), ended: Mutex::default() })
    }

    fn attempts(&self) -> Vec<u32> {
        let submitted = self.submitted.lock().unwrap();
        let made = submitted.iter().filter(|(_, submission)| !submission.adopted);
        made.map(|(_, submission)| submission.run.attempt.get()).collect()
    }

    fn end(&self, run: &RunId) -> RunStatus {
        let index = usize::try_from(run.attempt.get()).unwrap() - 1;
        let verdict = match self.fates.get(index) {
            Some(fate) => Verdict::new(Outcome::Failed, Reason::Evicted, "the node evicted the pod", "wait")
                .with_retry(*fate == Fate::NeverBegan),
            None => Verdict::new(Outcome::Succeeded, Reason::Completed, "done", ""),
        };
        let status = RunStatus::new(run.clone(), Phase::Failed).with_verdict(verdict);
        self.ended.lock().unwrap().insert(run.attempt, status.clone());
        status
    }
}

#[async_trait]
impl WorkloadManager for Fated {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn preflight(&self) -> Result<Report> {
        Ok(Report::default())
    }

    async fn resolve_image(&self, _request: &ImageRequest) -> Result<ResolvedImage> {
        Ok(ResolvedImage::new("image".parse()?, "Image image."))
    }

    async fn submit(&self, request: &RunRequest) -> Result<Submission> {
        let attempt = match request.workload.attempt() {
            AttemptRequest::Exactly(attempt) => attempt,
            AttemptRequest::Next => Attempt::FIRST,
        };
        let workload = &request.workload;
        let run = RunId { workload: workload.id().clone(), kind: workload.kind(), attempt };
        let mut submitted = self.submitted.lock().unwrap();
        let adopted = submitted.iter().any(|(_, submission)| submission.run == run);
        let submission = Submission::new(run, adopted);
        submitted.push((request.clone(), submission.clone()));
        Ok(submission)
    }

    async fn release(&self, _run: &RunId) -> Result<()> {
        Ok(())
    }

    async fn status(&self, run: &RunId) -> Result<RunStatus> {
        Ok(self.end(run))
    }

    async fn watch(&self, run: &RunId) -> Result<StatusStream> {
        let end = self.end(run);
        Ok(stream::iter([Ok(end)]).boxed())
    }

    async fn list(&self, _filter: &RunFilter) -> Result<Vec<RunStatus>> {
        Ok(self.ended.lock().unwrap().values().cloned().collect())
    }

    async fn logs(&self, _workload: &WorkloadId, _query: &LogQuery) -> Result<LogStream> {
        Ok(stream::empty().boxed())
    }

    async fn log(&self, _workload: &WorkloadId, _message: &str) -> Result<()> {
        Ok(())
    }

    async fn cancel(&self, _run: &RunId) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _workload: &WorkloadId) -> Result<()> {
        Ok(())
    }
}

fn launcher(backend: &Arc<Fated>, start_retries: u32) -> Launcher {
    let settings = LauncherSettings { start_retries, ..LauncherSettings::default() };
    Launcher::new(Arc::clone(backend) as Arc<dyn WorkloadManager>, settings)
}

#[tokio::test(start_paused = true)]
async fn what_never_began_is_tried_again_while_its_budget_lasts() {
    use Fate::{MayHaveBegun, NeverBegan};
    for (fates, retries, attempts, succeeds) in [
        (&[NeverBegan, NeverBegan][..], 2, &[1, 2, 3][..], true),
        (&[NeverBegan, NeverBegan, NeverBegan], 2, &[1, 2, 3], false),
        (&[NeverBegan], 0, &[1], false),
        (&[MayHaveBegun], 2, &[1], false),
        (&[NeverBegan, MayHaveBegun], 2, &[1, 2], false),
    ] {
        let backend = Fated::new(fates);
        let launcher = launcher(&backend, retries);
        let handle = launcher.launch(workload("w")).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().is_success(), succeeds, "{fates:?}");
        assert_eq!(backend.attempts(), attempts, "{fates:?}");
        assert_eq!(handle.run().map(|run| run.attempt.get()), attempts.last().copied());
        assert_eq!(launcher.load().running, 0, "its slot is free");
    }
}

#[tokio::test(start_paused = true)]
async fn two_servers_who_see_a_run_end_make_one_next_attempt() {
    let backend = Fated::new(&[Fate::NeverBegan]);
    let (one, other) = (launcher(&backend, 2), launcher(&backend, 2));
    let first = one.launch(workload("w")).await.unwrap();
    let second = other.launch(workload("w")).await.unwrap();
    assert!(first.wait().await.unwrap().is_success());
    assert!(second.wait().await.unwrap().is_success());
    assert_eq!(backend.attempts(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_says_why_and_which_it_is() {
    let backend = Fated::new(&[Fate::NeverBegan]);
    let launcher = launcher(&backend, 3);
    let handle = launcher.launch(workload("w")).await.unwrap();
    let first = handle.run().unwrap();
    let second = handle.retry_of(&first).await.unwrap();
    assert_eq!(second.attempt, first.attempt.next());
    handle.wait().await.unwrap();
    assert_eq!(handle.retry_of(&second).await, None);
    let submitted = backend.submitted.lock().unwrap();
    let messages: Vec<_> = submitted.iter().map(|(request, _)| request.messages.join("|")).collect();
    assert_eq!(
        messages,
        [
            "Image image.",
            "Again, since attempt 1 did not begin: the node evicted the pod. This is retry 1 of 3."
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_before_its_retry_is_not_tried_again() {
    let backend = Fated::new(&[Fate::NeverBegan]);
    let launcher = launcher(&backend, 2);
    let handle = launcher.launch(workload("w")).await.unwrap();
    // Its first attempt has ended, and the pause before the next one goes.
    let mut changes = Box::pin(handle.follow());
    while let Some(status) = changes.next().await {
        if status.unwrap().detail.is_some_and(|detail| detail.contains("retry 1 of 2")) {
            break;
        }
    }
    handle.cancel().await.unwrap();
    assert!(!handle.wait().await.unwrap().is_success());
    assert_eq!(backend.attempts(), [1]);
}
