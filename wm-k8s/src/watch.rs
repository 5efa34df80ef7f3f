//! The two shared watches: on the Jobs and on the Pods of all runs. Each is one list and then one watch at a time,
//! whatever the number of runs and whatever becomes of the connections.

mod events;
mod kind;

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt as _;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use self::{
    events::{Event, Events},
    kind::{Jobs, Kind, Pods},
};
use crate::{api::Api, board::Board, error::CallError, metrics};

/// How often a manager lists whose role lacks `watch`.
const POLL: Duration = Duration::from_secs(3);
/// How long the server lets a watch last. A watch that says nothing may be dead, and so it can't be for longer.
const LASTS: Duration = Duration::from_secs(70);
/// How much later than that its end may come.
const MARGIN: Duration = Duration::from_secs(5);
/// How often all is listed again, so that nothing stays lost for ever which a watch did not tell.
const LIST_AGAIN: Duration = Duration::from_mins(5);

/// Keeps the board up to date until the tasks are dropped.
pub(crate) fn start(api: &Api, board: &Arc<Board>, may_watch: bool) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(follow::<Jobs>(api.clone(), Arc::clone(board), may_watch));
    tasks.spawn(follow::<Pods>(api.clone(), Arc::clone(board), may_watch));
    tasks
}

/// How a watch ended.
enum End {
    /// It can be taken up again from this version.
    At(String),
    /// Its version is too old, or nothing is known any more: all must be listed.
    Lost,
    /// It can be taken up from this version once the trouble has passed.
    Trouble(String, Trouble),
}

/// What keeps a watch from going on.
enum Trouble {
    Call(CallError),
    Told(Event<()>),
}

async fn follow<K: Kind>(api: Api, board: Arc<Board>, mut may_watch: bool) {
    let mut pauses = pauses();
    let mut version = String::new();
    let mut listed = None;
    loop {
        let is_due = listed.is_none_or(|at: Instant| at.elapsed() >= LIST_AGAIN);
        if is_due || !may_watch {
            metrics::listed(K::RESOURCE);
            match K::list(&api, &board, &version).await {
                Ok(now) => (version, listed) = (now, Some(Instant::now())),
                Err(error) => {
                    tracing::warn!(?error, "The {} could not be listed, trying again", K::NAME);
                    rest(&mut pauses, error.retry_after()).await;
                    continue;
                }
            }
        }
        if !may_watch {
            sleep(POLL).await;
            continue;
        }
        match watch::<K>(&api, &board, version.clone(), &mut pauses).await {
            End::At(last) => {
                version = last;
                pauses = self::pauses();
            }
            End::Lost => {
                metrics::watch_broke(K::RESOURCE, Some(410));
                listed = None;
                // What is listed next need not be newer than what was lost.
                version.clear();
                rest(&mut pauses, None).await;
            }
            End::Trouble(last, trouble) if trouble.is_refusal() => {
                metrics::watch_broke(K::RESOURCE, trouble.code());
                tracing::warn!(%trouble, "The watch on {} is refused, listing every {} s", K::NAME, POLL.as_secs());
                (version, may_watch) = (last, false);
            }
            End::Trouble(last, trouble) => {
                metrics::watch_broke(K::RESOURCE, trouble.code());
                tracing::warn!(%trouble, "The watch on {} broke, it is taken up again", K::NAME);
                version = last;
                rest(&mut pauses, trouble.retry_after()).await;
            }
        }
    }
}

/// Watches from a version until that ends.
async fn watch<K: Kind>(
    api: &Api,
    board: &Board,
    mut version: String,
    pauses: &mut ExponentialBackoff,
) -> End {
    let began = Instant::now();
    let stream = match api.watch(K::requests(api), &version, LASTS).await {
        Ok(stream) => stream,
        Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 410) => return End::Lost,
        Err(error) => return End::Trouble(version, Trouble::Call(error)),
    };
    let mut events = pin!(Events::<K::Object>::read(stream));
    loop {
        let left = (LASTS + MARGIN).saturating_sub(began.elapsed());
        let Ok(event) = timeout(left, events.next()).await else {
            // The server should have ended it: it is dead.
            metrics::watch_broke(K::RESOURCE, None);
            tracing::warn!("The watch on {} has fallen silent, it is taken up again", K::NAME);
            return End::At(version);
        };
        match event {
            // To end at once, again and again, is trouble.
            None if began.elapsed() < Duration::from_secs(1) => {
                let early = Event::Failed { code: 0, message: "it ended at once".to_owned() };
                return End::Trouble(version, Trouble::Told(early));
            }
            None => return End::At(version),
            Some(Err(error)) => return End::Trouble(version, Trouble::Call(error)),
            Some(Ok(Event::Failed { code: 410, .. })) => return End::Lost,
            Some(Ok(Event::Failed { code, message })) => {
                return End::Trouble(version, Trouble::Told(Event::Failed { code, message }));
            }
            Some(Ok(Event::Put(object))) => {
                version = K::version(&object).unwrap_or(version);
                K::put(board, &object);
                metrics::watched(K::RESOURCE);
            }
            Some(Ok(Event::Removed(object))) => {
                version = K::version(&object).unwrap_or(version);
                K::remove(board, &object);
                metrics::watched(K::RESOURCE);
            }
            Some(Ok(Event::Bookmark(now))) => version = now,
        }
        *pauses = self::pauses();
    }
}

fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(250));
    pauses.with_max_delay(Duration::from_secs(8)).without_max_times().with_jitter().build()
}

async fn rest(pauses: &mut ExponentialBackoff, asked: Option<Duration>) {
    let pause = pauses.next().unwrap_or(POLL);
    sleep(asked.map_or(pause, |asked| asked.max(pause))).await;
}

impl Trouble {
    /// Whether the role lacks `watch`: asking again and again would change nothing.
    fn is_refusal(&self) -> bool {
        self.code() == Some(403)
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Call(error) => error.refusal().map(|refusal| refusal.code),
            Self::Told(Event::Failed { code, .. }) => Some(*code),
            Self::Told(_) => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Call(error) => error.retry_after(),
            Self::Told(_) => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => write!(f, "{error:?}"),
            Self::Told(Event::Failed { code, message }) => write!(f, "{code} {message}"),
            Self::Told(_) => Ok(()),
        }
    }
}
