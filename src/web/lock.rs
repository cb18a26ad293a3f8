//! What opens the API: the password, the token, and sessions that were opened with one of them.
//!
//! A session is a text that only this bridge can have made: the time of its end, signed. Nothing of it is kept, so it is
//! good after a restart too; it ends by its time, or for all at once when the password or the token is changed.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::key::SigningKey;
use super::tries::Tries;

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Tells who may come in.
pub struct Lock {
    password: Option<SecretString>,
    token: Option<SecretString>,
    signing: hmac::Key,
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
    pub fn new(password: Option<SecretString>, token: Option<SecretString>, key: &SigningKey) -> Option<Self> {
        if password.is_none() && token.is_none() {
            return None;
        }
        let signing = hmac::Key::new(hmac::HMAC_SHA256, mixed(key, [&password, &token]).as_ref());
        Some(Self { password, token, signing, tries: Mutex::default() })
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
        let ends = now.as_second().saturating_add_unsigned(SESSION.as_secs()).to_string();
        let sign = hmac::sign(&self.signing, signed(&ends).as_bytes());
        format!("{ends}.{}", hex::encode(sign))
    }

    /// Whether this is a session of ours that has not ended.
    pub fn is_session(&self, text: &str, now: Timestamp) -> bool {
        let Some((ends, sign)) = text.split_once('.') else { return false };
        let (Ok(until), Ok(sign)) = (ends.parse::<i64>(), hex::decode(sign)) else { return false };
        now.as_second() < until && hmac::verify(&self.signing, signed(ends).as_bytes(), &sign).is_ok()
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

fn signed(ends: &str) -> String {
    format!("session {ends}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn lock(password: &str, token: &str, key: u8) -> Lock {
        let secret = |text: &str| Some(text.into()).filter(|_| !text.is_empty());
        Lock::new(secret(password), secret(token), &SigningKey([key; 32])).unwrap()
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
        assert!(Lock::new(None, None, &SigningKey([0; 32])).is_none());
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
    fn only_a_bearer_is_looked_at() {
        assert_eq!(Shown::in_header("Bearer abc"), Some(Shown::Token("abc")));
        assert_eq!(Shown::in_header("bearer  abc "), Some(Shown::Token("abc")));
        for other in ["Basic YTpi", "abc", "", "Bearer", "Bearer2 abc"] {
            assert_eq!(Shown::in_header(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_a_session_of_ours_is_one(text in "\\PC{0,90}", digits in "[0-9]{1,20}\\.[0-9a-f]{0,70}") {
            let lock = lock("one", "two", 1);
            prop_assert!(text == "two" || lock.open(Shown::Token(&text), HOME).is_err());
            prop_assert!(!lock.is_session(&text, at(0)) && !lock.is_session(&digits, at(0)));
            prop_assert!(text == "one" || lock.open(Shown::Password(&text), HOME).is_err());
        }
    }
}
