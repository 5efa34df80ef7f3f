//! Waiting for a moment of a clock.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::{Clock, Moment};

/// Ends at a moment of a clock, whether that comes by itself or is driven.
#[derive(Debug)]
pub(crate) struct Sleep {
    clock: Clock,
    until: Moment,
    /// Its number among the clock's timers, once it has been polled.
    number: Option<u64>,
    /// What wakes it on a clock that runs.
    system: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Sleep {
    pub(super) fn new(clock: Clock, until: Moment) -> Self {
        Self { clock, until, number: None, system: None }
    }

    fn forget(&mut self) {
        if let Some(number) = self.number.take() {
            self.clock.lock().timers.remove(&(self.until, number));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            {
                // Looked at under the lock under which it is advanced, so that no wake is missed.
                let mut state = this.clock.lock();
                let number = *this.number.get_or_insert_with(|| {
                    state.last_timer += 1;
                    state.last_timer
                });
                state.timers.insert((this.until, number), context.waker().clone());
            }
            let remaining = this.until.0.saturating_sub(this.clock.moment().0);
            if remaining.is_zero() {
                this.forget();
                return Poll::Ready(());
            }
            if this.clock.is_driven() {
                return Poll::Pending;
            }
            let deadline = Instant::now() + remaining;
            let system = this.system.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            system.as_mut().reset(deadline);
            if system.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}
