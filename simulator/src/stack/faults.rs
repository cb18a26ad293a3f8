//! Trouble on demand: what a test asks the look-alike to do wrong, and for how many requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
    /// HTTP requests are answered with this status and nothing is done.
    HttpStatus { status: u16, times: u32 },
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
}

/// The troubles in force.
#[derive(Debug, Default)]
pub struct FaultBoard {
    active: Mutex<Vec<Fault>>,
}

impl FaultBoard {
    pub fn set(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// True while `fault`, one that does not wear off, is in force.
    pub fn holds(&self, fault: &Fault) -> bool {
        self.lock().contains(fault)
    }

    /// Spends one use of the first trouble that `wanted` picks, oldest first.
    pub fn spend(&self, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut active = self.lock();
        let index = active.iter().position(wanted)?;
        let fault = active[index].clone();
        if wears_off(&mut active[index]) {
            active.remove(index);
        }
        Some(fault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        // A list is whole after every statement, so one left by a panicking thread is still good.
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one use; true if it was the last.
fn wears_off(fault: &mut Fault) -> bool {
    match fault {
        Fault::HttpStatus { times, .. }
        | Fault::SilentBeforeActing { times }
        | Fault::SilentAfterActing { times }
        | Fault::RateLimited { times, .. }
        | Fault::QueueFull { times }
        | Fault::TransmissionRefused { times, .. } => {
            *times = times.saturating_sub(1);
            *times == 0
        }
        Fault::RefuseConnect | Fault::CloseOnAccept | Fault::IdentityServerDown => false,
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
