//! What is told between the lines of the programs: messages, and the logs of builds that stand in the places of some.

use std::{collections::VecDeque, sync::Arc};

use async_stream::try_stream;
use futures::{
    StreamExt as _, TryStreamExt as _, pin_mut,
    stream::{self, BoxStream},
};
use wm_core::{LogRecord, LogSource, Result, RunId, WorkloadId, WorkloadKind};

use super::{Entry, Part, Reader};
use crate::{told::Notice, view::JobView};

impl Reader {
    /// Tells a message, or the log of the build that stands in its place.
    ///
    /// Boxed, since the log of a build is read as that of an attempt is, in the midst of one.
    pub(super) fn tell(&mut self, notice: Notice, follow: bool) -> BoxStream<'_, Result<Entry>> {
        let Some((workload, attempt)) = notice.build.clone() else {
            return stream::iter([Ok(self.say(notice))]).boxed();
        };
        let is_wanted = self.query.attempt.is_none() && self.query.container.is_none();
        try_stream! {
            let build = RunId { workload, kind: WorkloadKind::Build, attempt };
            let mut gone = None;
            if is_wanted {
                if let Some(job) = self.shared.job_of(&build).await? {
                    let job = Arc::new(job);
                    {
                        let output = self.attempt(&job, follow, Part::Included, VecDeque::new());
                        pin_mut!(output);
                        while let Some(entry) = output.try_next().await? {
                            yield entry;
                        }
                    }
                    if self.pods(&job, true).await?.is_empty() && self.is_gone(&job).await? {
                        gone = Some("its pod");
                    }
                } else {
                    gone = Some("its Job");
                }
            }
            let time = notice.time();
            // Only now, so that who reads on from within the log comes back to it.
            notice.place_in(&mut self.bookmark);
            if let Some(gone) = gone {
                let text = format!("the log of the build {} is gone with {gone}", build.workload);
                yield self.say(Notice::of_now(time, &text));
            }
        }
        .boxed()
    }

    fn say(&mut self, notice: Notice) -> Entry {
        let record = LogRecord::new(notice.time(), LogSource::Manager, notice.place_in(&mut self.bookmark));
        Entry { record: record.with_cursor(self.bookmark.to_cursor()), first: true }
    }

    /// Hears of all messages that have not been told.
    pub(super) async fn hear(&mut self, jobs: &[Arc<JobView>]) -> Result<()> {
        if self.query.container.is_some() {
            return Ok(());
        }
        self.told.hear_unplaced(&self.shared, &self.ids(jobs));
        for job in jobs {
            self.told.hear_job(&self.shared, job).await?;
        }
        Ok(())
    }

    /// The same where something has changed on the board; asks for the Job only if it has other messages.
    pub(super) async fn hear_meanwhile(&mut self, job: &Arc<JobView>, part: Part) -> Result<()> {
        if self.query.container.is_some() || part == Part::Included {
            return Ok(());
        }
        self.told.hear_unplaced(&self.shared, &self.ids(std::slice::from_ref(job)));
        let now = self.shared.board.job(&job.name);
        if now.is_some_and(|now| self.told.has_more(&now)) {
            self.told.hear_job(&self.shared, job).await?;
        }
        Ok(())
    }

    pub(super) fn ids(&self, jobs: &[Arc<JobView>]) -> Vec<WorkloadId> {
        let ids = jobs.iter().flat_map(|job| job.aliases.iter().chain([&job.run.workload]));
        let mut ids: Vec<_> = ids.chain([&self.id]).cloned().collect();
        ids.sort();
        ids.dedup();
        ids
    }
}
