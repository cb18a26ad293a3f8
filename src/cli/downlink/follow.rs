//! Following a downlink to its end: the bridge is asked to answer when there is news.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::seen::Seen;
use crate::cli::service::{Service, ServiceError};
use crate::cli::{Exit, Terminal};

/// How long one question waits for news.
const ROUND: Duration = Duration::from_secs(30);
/// A bridge that is away is asked again after this time, and given up after that one: it may be starting again, and it
/// still knows the downlink then.
const AGAIN: Duration = Duration::from_secs(1);
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Tells each step after the first `told` as it comes, until the end or for `wait` at most.
pub async fn follow(
    service: &Service,
    id: &str,
    mut told: usize,
    wait: Duration,
    json: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Exit> {
    let now = Instant::now();
    // A wait longer than clocks reach has no end.
    let end = now.checked_add(wait).unwrap_or(now + Duration::from_secs(u32::MAX.into()));
    let mut lost = None;
    loop {
        let round = ROUND.min(end.saturating_duration_since(Instant::now()));
        let seen = match look(service, id, told, round).await {
            Ok(seen) => seen,
            Err(error) => {
                let since = *lost.get_or_insert_with(Instant::now);
                let again = Instant::now() + AGAIN;
                if !error.may_pass() || since.elapsed() > GIVEN_UP || again > end {
                    return Err(error.into());
                }
                sleep_until(again).await;
                continue;
            }
        };
        lost = None;
        seen.tell_steps(told, json, terminal)?;
        told = seen.step_count;
        if !seen.open || Instant::now() >= end {
            if seen.open && !json {
                terminal.say(&format!("still open\n  hint: `ttn-ferry downlink show {id}` tells how it goes on"));
            }
            return Ok(seen.exit());
        }
    }
}

async fn look(service: &Service, id: &str, told: usize, wait: Duration) -> Result<Seen, ServiceError> {
    let (wait_for, told) = (format!("{}ms", wait.as_millis()), told.to_string());
    let query = [("wait", wait_for.as_str()), ("after_steps", told.as_str())];
    let text = service.get(&["downlinks", id], &query, wait).await?;
    Seen::parse(&text).map_err(ServiceError::Unreadable)
}
