//! Room for so many visitors. When there is none left, who has asked nothing for the longest time makes way for the next:
//! browsers keep connections that they may never use again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long somebody may be idle before it must make way: what it asks may be on its way to us. And how long making way may
/// take before another one must, too: an answer may be on its way to it.
const PATIENCE: Duration = Duration::from_millis(200);

/// Places, and those who could give one up.
pub struct Room {
    places: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// One visitor's time here. Idle from the start, and again after each answer; never as a WebSocket, which is nobody's
/// request any more.
pub struct Stay {
    idle: Arc<Idle>,
    turn: AtomicU64,
    has_asked: AtomicBool,
    stop: CancellationToken,
    over: CancellationToken,
}

/// While it is there, something is asked.
pub struct Asking {
    stay: Arc<Stay>,
    for_good: bool,
}

/// Those who ask nothing.
#[derive(Default)]
struct Idle {
    queue: Mutex<Queue>,
    /// Rung when somebody joins it.
    joined: Notify,
}

/// Who has waited longest is first.
#[derive(Default)]
struct Queue {
    next: u64,
    /// From when on each may be sent away.
    by_turn: BTreeMap<u64, (Instant, CancellationToken)>,
}

impl Room {
    pub fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), idle: Arc::default() }
    }

    /// A place, as soon as there is one: if need be, that of somebody who is idle. If nobody is, who comes waits. A stay is
    /// over with `stop`, too.
    pub async fn enter(&self, stop: &CancellationToken) -> (OwnedSemaphorePermit, Arc<Stay>) {
        let place = async { self.places.clone().acquire_owned().await.expect("nobody closes this semaphore") };
        tokio::pin!(place);
        loop {
            tokio::select! {
                biased;
                place = &mut place => return (place, Stay::new(self.idle.clone(), stop)),
                () = self.idle.longest_goes() => {}
            }
            if let Ok(place) = tokio::time::timeout(PATIENCE, &mut place).await {
                return (place, Stay::new(self.idle.clone(), stop));
            }
        }
    }
}

#[cfg(test)]
impl Room {
    pub fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }
}

impl Stay {
    fn new(idle: Arc<Idle>, stop: &CancellationToken) -> Arc<Self> {
        let (turn, has_asked, over) = (AtomicU64::default(), AtomicBool::default(), stop.child_token());
        let stay = Self { idle, turn, has_asked, stop: stop.clone(), over };
        stay.rest();
        Arc::new(stay)
    }

    /// Something is asked, for as long as what comes back is kept.
    pub fn asks(self: &Arc<Self>) -> Asking {
        self.has_asked.store(true, Ordering::Relaxed);
        self.leave_queue();
        Asking { stay: self.clone(), for_good: false }
    }

    /// Until the visitor should go, once what it asked is answered.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Until it must make way without ever having asked anything. Nothing is lost when it goes at once.
    pub async fn turned_away(&self) {
        self.over.cancelled().await;
        if self.stop.is_cancelled() || self.has_asked.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }

    fn rest(&self) {
        let mut queue = self.idle.lock();
        let turn = queue.next;
        queue.next += 1;
        queue.by_turn.insert(turn, (Instant::now() + PATIENCE, self.over.clone()));
        self.turn.store(turn, Ordering::Relaxed);
        self.idle.joined.notify_one();
    }

    fn leave_queue(&self) {
        self.idle.lock().by_turn.remove(&self.turn.load(Ordering::Relaxed));
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.leave_queue();
    }
}

impl Asking {
    /// Nothing else is asked after this: the connection becomes a WebSocket.
    pub fn for_good(mut self) {
        self.for_good = true;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.for_good {
            self.stay.rest();
        }
    }
}

impl Idle {
    /// Sends away who has been idle for longest; waits until somebody is, and has been for a while.
    async fn longest_goes(&self) {
        loop {
            match self.first_or_due() {
                Ok(over) => return over.cancel(),
                Err(Some(due)) => tokio::time::sleep_until(due).await,
                Err(None) => self.joined.notified().await,
            }
        }
    }

    /// Takes out the first who may be sent away.
    ///
    /// # Errors
    /// From when on one may be, if somebody is idle.
    fn first_or_due(&self) -> Result<CancellationToken, Option<Instant>> {
        let mut queue = self.lock();
        let first = queue.by_turn.first_entry().ok_or(None)?;
        let (due, _) = first.get();
        if *due <= Instant::now() { Ok(first.remove().1) } else { Err(Some(*due)) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_been_idle_longest_makes_way_and_who_asks_does_not() {
        let (room, stop) = (Room::new(3), CancellationToken::new());
        let (first, one) = room.enter(&stop).await;
        let (_second, two) = room.enter(&stop).await;
        let (_third, three) = room.enter(&stop).await;
        let one_asks = one.asks();
        drop(two.asks());
        drop(three.asks());
        let mut next = Box::pin(room.enter(&stop));
        let over = |stay: &Stay| stay.over.is_cancelled();
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!([over(&one), over(&two), over(&three)], [false; 3], "each may be about to ask");
        tokio::time::advance(PATIENCE).await;
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!([over(&one), over(&two), over(&three)], [false, true, false]);
        // The second takes its time: so the third is asked as well. Then nobody is left but who asks.
        tokio::time::advance(PATIENCE).await;
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!([over(&one), over(&two), over(&three)], [false, true, true]);
        tokio::time::advance(10 * PATIENCE).await;
        assert!(next.as_mut().now_or_never().is_none() && !over(&one));
        drop(one_asks);
        assert!(next.as_mut().now_or_never().is_none() && !over(&one));
        tokio::time::advance(PATIENCE).await;
        assert!(next.as_mut().now_or_never().is_none() && over(&one), "it has its answer now");
        drop(first);
        assert!(next.now_or_never().is_some(), "there is a place");
    }

    #[tokio::test]
    async fn where_there_is_room_nobody_goes_and_a_stop_turns_nobody_away() {
        let (room, stop) = (Room::new(2), CancellationToken::new());
        let (place, stay) = room.enter(&stop).await;
        drop(place);
        let (_first, _) = room.enter(&stop).await;
        let (_second, other) = room.enter(&stop).await;
        assert!(!stay.over.is_cancelled() && !other.over.is_cancelled());
        stop.cancel();
        assert!(stay.over().now_or_never().is_some() && stay.turned_away().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_never_asked_is_turned_away_without_an_answer() {
        let (room, stop) = (Room::new(1), CancellationToken::new());
        for asks in [false, true] {
            let (_place, stay) = room.enter(&stop).await;
            if asks {
                drop(stay.asks());
            }
            tokio::time::advance(PATIENCE).await;
            assert!(room.enter(&stop).now_or_never().is_none());
            assert_eq!(stay.turned_away().now_or_never().is_some(), !asks);
        }
    }
}
