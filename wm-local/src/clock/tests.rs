use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::*;

fn driven() -> Clock {
    Clock::driven(SystemTime::UNIX_EPOCH)
}

type Woken = Arc<Mutex<Vec<(u64, u64)>>>;

/// Sleeps in tasks of their own, and what each notes when it wakes: its delay and the clock's time.
fn sleepers(clock: &Clock, delays: &[u64]) -> (JoinSet<()>, Woken) {
    let woken = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for delay in delays.iter().copied() {
        let (clock, woken) = (clock.clone(), Arc::clone(&woken));
        tasks.spawn(async move {
            clock.sleep(Duration::from_secs(delay)).await;
            woken.lock().unwrap().push((delay, clock.moment().0.as_secs()));
        });
    }
    (tasks, woken)
}

#[tokio::test]
async fn timers_fire_in_order_each_at_its_own_time() {
    let clock = driven();
    let (_tasks, woken) = sleepers(&clock, &[30, 172_800, 10, 20]);
    clock.advance(Duration::from_secs(25)).await;
    assert_eq!(*woken.lock().unwrap(), [(10, 10), (20, 20)]);
    clock.advance(Duration::from_hours(48)).await;
    assert_eq!(woken.lock().unwrap()[2..], [(30, 30), (172_800, 172_800)]);
    assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(172_825));
}

#[tokio::test]
async fn a_timer_that_is_set_on_the_way_fires_as_well() {
    let clock = driven();
    let mut tasks = JoinSet::new();
    let ticking = clock.clone();
    tasks.spawn(async move {
        for _ in 0..100 {
            ticking.sleep(Duration::from_secs(10)).await;
        }
        ticking.moment()
    });
    clock.advance(Duration::from_secs(1000)).await;
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Moment(Duration::from_secs(1000)));
}

#[tokio::test]
async fn a_driven_clock_stands_still() {
    let clock = driven();
    let (mut tasks, _) = sleepers(&clock, &[1]);
    take_turns().await;
    assert!(tasks.try_join_next().is_none());
    assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
}

#[tokio::test]
async fn a_timer_that_is_given_up_leaves_nothing() {
    let clock = driven();
    {
        let sleep = std::pin::pin!(clock.sleep(Duration::from_secs(1)));
        assert!(futures::poll!(sleep).is_pending());
        assert_eq!(clock.lock().timers.len(), 1);
    }
    assert_eq!(clock.lock().timers.len(), 0);
}

#[tokio::test]
async fn a_timer_whose_task_is_busy_stops_nothing() {
    let clock = driven();
    let mut sleep = std::pin::pin!(clock.sleep(Duration::from_secs(1)));
    assert!(futures::poll!(&mut sleep).is_pending());
    clock.advance(Duration::from_secs(2)).await;
    assert!(futures::poll!(&mut sleep).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_running_clock_can_be_advanced_and_runs_on() {
    let clock = Clock::following_tokio();
    let (mut tasks, woken) = sleepers(&clock, &[10, 100]);
    clock.advance(Duration::from_mins(1)).await;
    assert_eq!(woken.lock().unwrap().len(), 1);
    let begin = Instant::now();
    while tasks.join_next().await.is_some() {}
    assert_eq!(begin.elapsed().as_secs(), 40, "what is left of the longer one");
}
