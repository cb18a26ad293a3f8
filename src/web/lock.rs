//! What opens the API: the password, the token, and sessions that were opened with one of them.
//!
//! A session is a text that only this bridge can have made: the time of its end and a number, signed. Nothing of it is
//! kept, so it is good after a restart too. It ends by its time, or for all at once when the password or the token is
//! changed; those that were logged out of are remembered until then.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ring::hmac;
use ring::rand::{self, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::ended::{EndedSessions, Name};
use super::key::SigningKey;
use super::tries::Tries;

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Tells who may come in.
pub struct Lock {
    password: Option<SecretString>,
    token: Option<SecretString>,
    signing: hmac::Key,
    ended: EndedSessions,
    tries: Mutex<Tries>,
}

/// What somebody shows to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown<'a> {
    Password(&'a str),
    Token(&'a str),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    #[error("that is not right")]
    Wrong,
    #[error("too many wrong tries")]
    TooOften(Duration),
}

impl Lock {
    /// None if nothing is asked of anybody.
    pub fn new(
        password: Option<SecretString>,
        token: Option<SecretString>,
        key: &SigningKey,
        ended: EndedSessions,
    ) -> Option<Self> {
        if password.is_none() && token.is_none() {
            return None;
        }
        let signing = hmac::Key::new(hmac::HMAC_SHA256, mixed(key, [&password, &token]).as_ref());
        Some(Self { password, token, signing, ended, tries: Mutex::default() })
    }

    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Looks at what is shown, unless there were too many wrong tries.
    ///
    /// # Errors
    /// It is wrong, or was not looked at.
    pub fn open(&self, shown: Shown<'_>, from: IpAddr) -> Result<(), Locked> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        match tries.take(from, Instant::now(), || self.is_right(shown)) {
            Ok(true) => Ok(()),
            Ok(false) => {
                tracing::warn!(address = %from, "Somebody showed a wrong password or token.");
                Err(Locked::Wrong)
            }
            Err(wait) => Err(Locked::TooOften(wait)),
        }
    }

    /// A new session.
    pub fn session(&self, now: Timestamp) -> String {
        let ends = now.as_second().saturating_add_unsigned(SESSION.as_secs());
        let text = written(Name { ends, number: random() });
        let sign = hmac::sign(&self.signing, signed(&text).as_bytes());
        format!("{text}.{}", hex::encode(sign))
    }

    /// Whether this is a session of ours that has not ended.
    pub fn is_session(&self, text: &str, now: Timestamp) -> bool {
        self.name(text, now).is_some_and(|name| !self.ended.contains(name))
    }

    /// Ends a session of ours for whoever has a copy of it. Waits for the disk.
    pub fn end(&self, text: &str, now: Timestamp) {
        let Some(name) = self.name(text, now) else { return };
        if let Err(error) = self.ended.add(name) {
            tracing::warn!(%error, "A session that was ended cannot be remembered; after a restart it is good again.");
        }
    }

    /// Of a session that we made and whose time has not come.
    fn name(&self, text: &str, now: Timestamp) -> Option<Name> {
        let (text, sign) = text.rsplit_once('.')?;
        let (ends, number) = text.split_once('.')?;
        let name = Name { ends: ends.parse().ok()?, number: u64::from_str_radix(number, 16).ok()? };
        let is_ours = hmac::verify(&self.signing, signed(text).as_bytes(), &hex::decode(sign).ok()?).is_ok();
        (is_ours && now.as_second() < name.ends).then_some(name)
    }

    fn is_right(&self, shown: Shown<'_>) -> bool {
        let (wanted, shown) = match shown {
            Shown::Password(shown) => (&self.password, shown),
            Shown::Token(shown) => (&self.token, shown),
        };
        // By their signatures: how long that takes says nothing of where two texts differ.
        let sign = |text: &str| hmac::sign(&self.signing, text.as_bytes());
        let is_same = |wanted: &SecretString| {
            hmac::verify(&self.signing, shown.as_bytes(), sign(wanted.expose_secret()).as_ref()).is_ok()
        };
        wanted.as_ref().is_some_and(is_same)
    }
}

impl Shown<'_> {
    /// What the header `Authorization` shows. Of other schemes than `Bearer` (RFC 6750, 2.1) nothing is known here: they
    /// are for a reverse proxy.
    pub fn in_header(value: &str) -> Option<Shown<'_>> {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("Bearer").then(|| Shown::Token(token.trim()))
    }
}

/// The key of everything that is signed: another one when the file, the password or the token is another.
fn mixed(SigningKey(key): &SigningKey, secrets: [&Option<SecretString>; 2]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for secret in secrets {
        let text = secret.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        context.update(&text.len().to_be_bytes());
        context.update(text.as_bytes());
    }
    context.sign()
}

fn signed(session: &str) -> String {
    format!("session {session}")
}

fn written(Name { ends, number }: Name) -> String {
    format!("{ends}.{number:016x}")
}

/// Two sessions of the same second are two.
fn random() -> u64 {
    let bytes = rand::generate(&SystemRandom::new());
    u64::from_be_bytes(bytes.expect("a system that cannot give random bytes runs nothing that speaks TLS").expose())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn lock(password: &str, token: &str, key: u8) -> Lock {
        let secret = |text: &str| Some(text.into()).filter(|_| !text.is_empty());
        Lock::new(secret(password), secret(token), &SigningKey([key; 32]), nothing_ended()).unwrap()
    }

    /// And nothing that could be.
    fn nothing_ended() -> EndedSessions {
        EndedSessions::in_folder(std::path::Path::new("/nowhere/at/all")).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn each_secret_opens_as_what_it_is_and_a_lock_without_secrets_is_none() {
        let both = lock("three plain words", "0123456789abcdef", 1);
        assert_eq!(both.open(Shown::Password("three plain words"), HOME), Ok(()));
        assert_eq!(both.open(Shown::Token("0123456789abcdef"), HOME), Ok(()));
        assert_eq!(both.open(Shown::Password("0123456789abcdef"), HOME), Err(Locked::Wrong));
        assert_eq!(both.open(Shown::Token("three plain words"), HOME), Err(Locked::Wrong));
        for wrong in ["", "three plain word", "three plain words ", "Three plain words"] {
            let lock = lock("three plain words", "", 1);
            assert_eq!(lock.open(Shown::Password(wrong), HOME), Err(Locked::Wrong), "{wrong}");
            assert_eq!(lock.open(Shown::Token(wrong), HOME), Err(Locked::Wrong), "{wrong}");
        }
        assert!(Lock::new(None, None, &SigningKey([0; 32]), nothing_ended()).is_none());
    }

    #[test]
    fn a_session_lasts_thirty_days_and_ends_when_a_secret_or_the_key_changes() {
        let session = lock("one", "two", 1).session(at(1_000_000));
        let end = 1_000_000 + 30 * 86_400;
        assert!(lock("one", "two", 1).is_session(&session, at(end - 1)), "another process has the same key");
        assert!(!lock("one", "two", 1).is_session(&session, at(end)));
        for other in [lock("one", "", 1), lock("", "two", 1), lock("onet", "wo", 1), lock("one", "two", 2)] {
            assert!(!other.is_session(&session, at(1_000_000)));
        }
        let later = session.replacen(&end.to_string(), &(end + 1).to_string(), 1);
        assert!(later != session && !lock("one", "two", 1).is_session(&later, at(1_000_000)));
        assert!(!lock("one", "two", 1).is_session(&format!("+{session}"), at(1_000_000)));
    }

    #[test]
    fn a_session_that_was_ended_is_none_and_its_twin_of_the_same_second_is() {
        let lock = lock("one", "two", 1);
        let (mine, other) = (lock.session(at(0)), lock.session(at(0)));
        let (forged, _) = mine.rsplit_once('.').unwrap();
        lock.end(&format!("{forged}.{}", "00".repeat(32)), at(1));
        assert!(lock.is_session(&mine, at(1)), "who has no session ends none");
        lock.end(&mine, at(1));
        assert!(!lock.is_session(&mine, at(1)) && lock.is_session(&other, at(1)));
    }

    #[test]
    fn only_a_bearer_is_looked_at() {
        assert_eq!(Shown::in_header("Bearer abc"), Some(Shown::Token("abc")));
        assert_eq!(Shown::in_header("bearer  abc "), Some(Shown::Token("abc")));
        for other in ["Basic YTpi", "abc", "", "Bearer", "Bearer2 abc"] {
            assert_eq!(Shown::in_header(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_a_session_of_ours_is_one(text in "\\PC{0,90}", digits in "[0-9]{1,20}\\.[0-9a-f]{1,16}\\.[0-9a-f]{0,70}") {
            let lock = lock("one", "two", 1);
            prop_assert!(text == "two" || lock.open(Shown::Token(&text), HOME).is_err());
            prop_assert!(!lock.is_session(&text, at(0)) && !lock.is_session(&digits, at(0)));
            prop_assert!(text == "one" || lock.open(Shown::Password(&text), HOME).is_err());
        }
    }
}
