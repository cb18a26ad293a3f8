//! Trouble on demand: what a test asks the look-alike to do wrong, and for how many requests.

mod plan;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use plan::Dice;

pub use plan::{FaultPlan, HttpFault};

/// One kind of trouble. Those with `times` wear off by themselves; the others stay until they are cleared. "HTTP requests"
/// means any of them, whatever they ask for; "HTTP downlinks" means push and replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Every CONNECT is answered with code 5, whatever its credentials.
    RefuseConnect,
    /// MQTT connections are closed at once, before any CONNACK (the accept rate limit per address).
    CloseOnAccept,
    /// The Identity Server cannot be reached: CONNACK 5 and HTTP 503 for everyone.
    IdentityServerDown,
    /// The MQTT face says nothing: no message, no PINGRESP, no CONNACK, while connections stay up and what clients say is
    /// done. Afterwards each connection gets what its buffer held; what did not fit is lost.
    Mute,
    /// Messages are stored but reach no subscriber, while everything else goes on.
    DropSilently { times: u32 },
    /// HTTP requests are answered with this status and nothing is done.
    HttpStatus { status: u16, times: u32 },
    /// The same for requests whose path contains this, for example `/packages/storage`.
    StatusFor { path: &'static str, status: u16, times: u32 },
    /// HTTP requests are answered with this status, although what they ask for is done.
    StatusAfterActing { status: u16, times: u32 },
    /// HTTP requests get no answer, and nothing is done.
    SilentBeforeActing { times: u32 },
    /// HTTP requests get no answer, although what they ask for is done.
    SilentAfterActing { times: u32 },
    /// HTTP downlinks are answered 429 `rate_limit_exceeded` with rate headers.
    RateLimited { retry: Duration, times: u32 },
    /// HTTP downlinks are answered 429 `downlink_queue_capacity`, without rate headers, and published as
    /// `down/failed`.
    QueueFull { times: u32 },
    /// Gateways refuse downlinks with this result, for example `TOO_LATE`.
    TransmissionRefused { result: &'static str, times: u32 },
    /// The network has MAC commands for a device, and sends them in its receive window instead of what waits.
    MacCommands { times: u32 },
}

/// The troubles in force.
#[derive(Debug, Default)]
pub struct FaultBoard {
    active: Mutex<Vec<Fault>>,
    dice: Mutex<Option<Dice>>,
    muted: watch::Sender<bool>,
}

impl FaultBoard {
    pub fn set(&self, fault: Fault) {
        if fault == Fault::Mute {
            self.muted.send_replace(true);
        }
        lock(&self.active).push(fault);
    }

    /// Puts a plan in force, in place of the one before.
    pub fn plan(&self, plan: FaultPlan) {
        *lock(&self.dice) = Some(Dice::new(plan));
    }

    /// Ends every trouble. What a plan did stays known.
    pub fn clear(&self) {
        lock(&self.active).clear();
        if let Some(dice) = &mut *lock(&self.dice) {
            dice.stop();
        }
        self.muted.send_replace(false);
    }

    /// True while `fault`, one that does not wear off, is in force.
    pub fn holds(&self, fault: &Fault) -> bool {
        lock(&self.active).contains(fault)
    }

    /// Spends one use of the first trouble that `wanted` picks, oldest first.
    pub fn spend(&self, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut active = lock(&self.active);
        let index = active.iter().position(wanted)?;
        let fault = active[index].clone();
        if wears_off(&mut active[index]) {
            active.remove(index);
        }
        Some(fault)
    }

    /// What the plan in force has for the next downlink request. `lists` if it only asks for the queue.
    pub fn draw(&self, lists: bool) -> Option<Fault> {
        lock(&self.dice).as_mut()?.throw(lists)
    }

    /// How often each trouble of the plan struck.
    pub fn struck(&self) -> BTreeMap<HttpFault, u64> {
        lock(&self.dice).as_ref().map(Dice::struck).unwrap_or_default()
    }

    /// Waits while the MQTT face is mute.
    pub async fn unmuted(&self) {
        // An error means that the board is gone, and whoever waits with it.
        drop(self.muted.subscribe().wait_for(|muted| !muted).await);
    }
}

/// What is behind these locks is whole after every statement, so one left by a panicking thread is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts one use; true if it was the last.
fn wears_off(fault: &mut Fault) -> bool {
    match fault {
        Fault::HttpStatus { times, .. }
        | Fault::StatusFor { times, .. }
        | Fault::StatusAfterActing { times, .. }
        | Fault::DropSilently { times }
        | Fault::SilentBeforeActing { times }
        | Fault::SilentAfterActing { times }
        | Fault::RateLimited { times, .. }
        | Fault::QueueFull { times }
        | Fault::MacCommands { times }
        | Fault::TransmissionRefused { times, .. } => {
            *times = times.saturating_sub(1);
            *times == 0
        }
        Fault::RefuseConnect | Fault::CloseOnAccept | Fault::IdentityServerDown | Fault::Mute => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_wears_off_and_a_lasting_one_stays() {
        let board = FaultBoard::default();
        board.set(Fault::HttpStatus { status: 503, times: 2 });
        board.set(Fault::RefuseConnect);
        let spend = || board.spend(|fault| matches!(fault, Fault::HttpStatus { .. })).is_some();
        assert_eq!([spend(), spend(), spend()], [true, true, false]);
        assert!(board.holds(&Fault::RefuseConnect));
        board.clear();
        assert!(!board.holds(&Fault::RefuseConnect));
    }
}
