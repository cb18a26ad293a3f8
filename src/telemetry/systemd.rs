//! The service manager: told when the bridge is ready, what it does, that it lives, and that it stops.

use std::time::Duration;

use sd_notify::NotifyState;

/// systemd's notification socket, if there is one. Outside a service every call does nothing.
#[derive(Debug, Clone, Copy)]
pub struct Systemd {
    is_there: bool,
    /// Half of the watchdog's patience.
    interval: Option<Duration>,
}

impl Systemd {
    pub fn detect() -> Self {
        let is_there = std::env::var_os("NOTIFY_SOCKET").is_some();
        Self { is_there, interval: sd_notify::watchdog_enabled().map(|patience| patience / 2) }
    }

    /// Whether the bridge is a service, and started again if it fails.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// Its configuration is read again; [`Self::ready`] ends that. The clock is what systemd 253 and newer ask for
    /// (sd_notify(3), `RELOADING=1`).
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    pub fn status(&self, text: &str) {
        tell(&[NotifyState::Status(text)]);
    }

    /// Tells the watchdog that the bridge lives, as often as it wants to hear it. It runs among the bridge's own tasks,
    /// so a blocked runtime falls silent.
    pub async fn watchdog(&self) {
        let Some(interval) = self.interval else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(interval);
        loop {
            ticks.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(error = %error, "The service manager could not be told.");
    }
}
