//! The sessions of one device: which is in use, and which frame counters its downlinks have used up.
//!
//! A counter is given out once. Two payloads under one counter of one session would share a key stream, and whoever has
//! both could read them; so counters only rise, whatever became of the push, and are stored before it.

use serde::{Deserialize, Serialize};

use super::cipher::DevAddr;
use super::news::{News, Numbered, Payloads};
use crate::model::DownlinkId;
use crate::network::ttn::refusal::SessionHint;

/// A device that did not hear the answers to its joins goes on in the session before them.
const MOST_SESSIONS: usize = 16;
/// More than any queue of the network holds of ours for one device.
const MOST_PUSHED: usize = 128;
/// How many frame counters may have been given out since a backup was made, elsewhere or by a store that is lost: more than
/// a year of downlinks within TTN's fair use. A device takes a counter that is less than 16,384 ahead of the last one it
/// heard (LoRaWAN 1.0.3, 4.3.1.5, `MAX_FCNT_GAP`), so that it follows through three such leaps.
const LEAP: u32 = 4096;

/// What is known of one device's sessions, as the store keeps it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// The one heard of last is the last.
    known: Vec<Session>,
    /// The last push of each downlink, the latest at the end.
    pushed: Vec<Pushed>,
}

/// A session between a device and the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The network's id of its keys.
    pub id: String,
    pub dev_addr: Option<DevAddr>,
    pub payloads: Payloads,
    /// The highest downlink frame counter that was used, by anyone; the first is 1.
    f_cnt_down: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pushed {
    id: DownlinkId,
    session: String,
    f_cnt: u32,
}

impl Sessions {
    /// Takes what a message says. Returns whether something is different.
    pub fn note(&mut self, news: News) -> bool {
        let before = self.clone();
        match self.known.iter().position(|session| session.id == news.session) {
            Some(at) => {
                self.known[at].note(&news);
                if news.in_use {
                    let current = self.known.remove(at);
                    self.known.push(current);
                }
            }
            None => self.begin(news),
        }
        *self != before
    }

    /// What to go on with after these came back from a backup: no counter that was given out since is given out again. `here`
    /// is what was known until then; it alone counts if it went on from the backup.
    pub fn resumed(mut self, here: Option<Self>) -> Self {
        let mut here = here.unwrap_or_default();
        let mut from_here = true;
        for session in &mut self.known {
            match here.known.iter().find(|own| own.id == session.id) {
                Some(own) if own.f_cnt_down >= session.f_cnt_down => session.f_cnt_down = own.f_cnt_down,
                _ => {
                    from_here = false;
                    session.f_cnt_down = session.f_cnt_down.saturating_add(LEAP);
                }
            }
        }
        if from_here && !here.known.is_empty() {
            return here;
        }
        here.known.retain(|own| self.known.iter().all(|session| session.id != own.id));
        here.known.append(&mut self.known);
        here.known.drain(..here.known.len().saturating_sub(MOST_SESSIONS));
        Self { known: here.known, pushed: self.pushed }
    }

    fn begin(&mut self, news: News) {
        let News { session: id, dev_addr, in_use: true, payloads: Some(payloads), f_cnt_down } = news else { return };
        if self.known.len() == MOST_SESSIONS {
            // Rather one of which no counter is known that must not be used again.
            let unused = self.known.iter().position(|session| session.f_cnt_down == 0);
            self.known.remove(unused.unwrap_or(0));
        }
        // A device that never joins keeps its address and its key when the network begins a session anew.
        let same = self.known.iter().filter(|session| dev_addr.is_some() && session.dev_addr == dev_addr);
        let f_cnt_down = same.map(|session| session.f_cnt_down).fold(f_cnt_down, u32::max);
        self.known.push(Session { id, dev_addr, payloads, f_cnt_down });
    }

    /// The session that downlinks are for.
    pub fn current(&self) -> Option<&Session> {
        self.known.last()
    }

    /// Whether the payloads of this session are encrypted end to end; of the current one, if it is not named or not known.
    pub fn is_encrypted(&self, session: Option<&str>) -> bool {
        let named = session.and_then(|id| self.known.iter().find(|session| session.id == id));
        named.or(self.current()).is_some_and(|session| matches!(session.payloads, Payloads::Encrypted(_)))
    }

    /// A frame counter of the current session for a push of this downlink: none was given out before. `None`: there is no
    /// session, or it has no more.
    pub fn number(&mut self, id: &DownlinkId) -> Option<u32> {
        let current = self.known.last_mut()?;
        let f_cnt = current.f_cnt_down.checked_add(1)?;
        current.f_cnt_down = f_cnt;
        let session = current.id.clone();
        self.forget(id);
        if self.pushed.len() == MOST_PUSHED {
            self.pushed.remove(0);
        }
        self.pushed.push(Pushed { id: id.clone(), session, f_cnt });
        Some(f_cnt)
    }

    /// Takes what the network says of a push that did not fit its session. Returns whether another may.
    pub fn corrected(&mut self, hint: &SessionHint) -> bool {
        let at = match &hint.session_key_id {
            Some(id) => self.known.iter().position(|session| session.id == *id),
            None => self.known.len().checked_sub(1),
        };
        let Some(at) = at else { return false };
        let mut session = self.known.remove(at);
        let used = hint.min_f_cnt_down.unwrap_or(0).saturating_sub(1);
        session.f_cnt_down = session.f_cnt_down.max(used);
        self.known.push(session);
        true
    }

    /// This push is over, and what is still told of it is not to be followed.
    pub fn forget(&mut self, id: &DownlinkId) {
        self.pushed.retain(|pushed| pushed.id != *id);
    }

    /// Whether what the network tells is of the last push of this downlink, and not of one before. `None`: nobody
    /// remembers.
    pub fn is_last_push(&self, told: &Numbered) -> Option<bool> {
        let last = self.pushed.iter().find(|pushed| pushed.id == told.id)?;
        Some(*told.session.as_ref()? == last.session && told.f_cnt? == last.f_cnt)
    }
}

impl Session {
    fn note(&mut self, news: &News) {
        self.dev_addr = news.dev_addr.filter(|_| news.in_use).or(self.dev_addr);
        self.f_cnt_down = self.f_cnt_down.max(news.f_cnt_down);
        match (&news.payloads, &self.payloads) {
            (Some(Payloads::Plain), Payloads::Encrypted(_)) => self.payloads = Payloads::Disclosed,
            (Some(Payloads::Plain), _) | (None, _) => {}
            (Some(payloads), _) => self.payloads.clone_from(payloads),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::keys::KeyEnvelope;
    use super::*;

    fn id(text: &str) -> DownlinkId {
        DownlinkId::parse(text).unwrap()
    }

    fn heard(session: &str, f_cnt_down: u32) -> News {
        let envelope = KeyEnvelope { kek_label: "kek".into(), encrypted_key: session.into(), key: None };
        let payloads = Some(Payloads::Encrypted(envelope));
        let address = session.bytes().fold(0, u8::wrapping_add);
        News { session: session.into(), dev_addr: Some([1, 2, 3, address]), in_use: true, payloads, f_cnt_down }
    }

    /// Of an address of its own, as joins are.
    fn joined(session: &str) -> News {
        News { dev_addr: Some([0; 4]), ..heard(session, 0) }
    }

    fn counted(session: &str, f_cnt_down: u32) -> News {
        News { in_use: false, payloads: None, dev_addr: None, ..heard(session, f_cnt_down) }
    }

    fn hint(session: Option<&str>, min: Option<u32>) -> SessionHint {
        SessionHint { session_key_id: session.map(str::to_owned), min_f_cnt_down: min }
    }

    fn current(sessions: &Sessions) -> String {
        sessions.current().unwrap().id.clone()
    }

    #[test]
    fn counters_begin_at_one_and_go_on_after_everything_that_was_used() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.number(&id("x")), None, "there is no session");
        assert!(sessions.note(heard("a", 0)));
        assert_eq!(sessions.number(&id("x")), Some(1));
        assert!(sessions.note(counted("a", 5)), "a frame of the network's own, or of somebody else");
        assert_eq!(sessions.number(&id("y")), Some(6));
        assert!(!sessions.note(heard("a", 2)), "old news");
        assert_eq!(sessions.number(&id("z")), Some(7));
        assert!(!sessions.note(counted("unknown", 100)));
    }

    #[test]
    fn a_device_that_falls_back_into_a_session_finds_its_counter_as_it_was() {
        let mut sessions = Sessions::default();
        sessions.note(heard("a", 0));
        sessions.number(&id("x"));
        sessions.note(heard("b", 0));
        assert_eq!((current(&sessions), sessions.number(&id("x"))), ("b".into(), Some(1)));
        sessions.note(heard("a", 0));
        assert_eq!((current(&sessions), sessions.number(&id("x"))), ("a".into(), Some(2)));
        for n in 0..2 * MOST_SESSIONS {
            sessions.note(joined(&n.to_string()));
        }
        assert_eq!(sessions.known.len(), MOST_SESSIONS);
        sessions.note(heard("a", 0));
        assert_eq!((current(&sessions), sessions.number(&id("x"))), ("a".into(), Some(3)), "what has counters stays");
    }

    #[test]
    fn a_session_that_begins_with_the_address_of_another_goes_on_counting() {
        let mut sessions = Sessions::default();
        let of = |session, dev_addr| News { dev_addr, ..heard(session, 0) };
        sessions.note(of("a", Some([1; 4])));
        assert_eq!(sessions.number(&id("x")), Some(1));
        sessions.note(of("b", Some([1; 4])));
        assert_eq!(sessions.number(&id("y")), Some(2), "the key may be the same");
        sessions.note(of("c", Some([2; 4])));
        assert_eq!(sessions.number(&id("z")), Some(1));
        sessions.note(of("d", None));
        sessions.note(of("e", None));
        assert_eq!(sessions.number(&id("z")), Some(1), "nothing is known of their addresses");
    }

    #[test]
    fn payloads_that_were_encrypted_and_come_in_the_clear_are_not_taken_for_plain_ones() {
        let mut sessions = Sessions::default();
        let clear = News { payloads: Some(Payloads::Plain), ..heard("a", 0) };
        sessions.note(clear.clone());
        assert_eq!(sessions.current().unwrap().payloads, Payloads::Plain);
        sessions.note(heard("a", 0));
        assert!(sessions.is_encrypted(None));
        for _ in 0..2 {
            sessions.note(clear.clone());
            sessions = serde_json::from_str(&serde_json::to_string(&sessions).unwrap()).unwrap();
            assert_eq!(sessions.current().unwrap().payloads, Payloads::Disclosed);
        }
        sessions.note(heard("a", 0));
        assert!(sessions.is_encrypted(None));
    }

    #[test]
    fn the_network_corrects_counter_and_session() {
        let mut sessions = Sessions::default();
        sessions.note(heard("a", 0));
        sessions.note(heard("b", 0));
        assert!(sessions.corrected(&hint(None, Some(10))));
        assert_eq!(sessions.number(&id("x")), Some(10));
        assert!(sessions.corrected(&hint(Some("a"), Some(3))), "the join was not heard");
        assert_eq!((current(&sessions), sessions.number(&id("x"))), ("a".into(), Some(3)));
        assert!(!sessions.corrected(&hint(Some("unknown"), Some(1))));
        assert!(sessions.corrected(&hint(None, Some(1))));
        assert_eq!(sessions.number(&id("x")), Some(4), "a counter never falls");
        sessions.note(counted("a", u32::MAX));
        assert_eq!(sessions.number(&id("x")), None, "there is none after the last");
    }

    #[test]
    fn what_comes_back_from_a_backup_gives_out_no_counter_again() {
        let mut here = Sessions::default();
        here.note(heard("a", 7));
        let backup = here.clone();
        for n in 8..12 {
            assert_eq!(here.number(&id("x")), Some(n));
        }
        here.note(heard("b", 2));
        let mut same = backup.clone().resumed(Some(here.clone()));
        assert_eq!(same, here, "here it is known what was given out");
        assert_eq!(same.number(&id("y")), Some(3));
        same.note(heard("a", 0));
        assert_eq!(same.number(&id("y")), Some(12));

        let mut elsewhere = backup.clone().resumed(None);
        assert_eq!(elsewhere.number(&id("y")), Some(7 + LEAP + 1));
        // Back on the machine it came from, which has slept since.
        let mut back = elsewhere.clone().resumed(Some(here));
        assert_eq!((current(&back), back.number(&id("z"))), ("a".into(), Some(7 + 2 * LEAP + 2)));
        back.note(heard("b", 0));
        assert_eq!(back.number(&id("z")), Some(3), "a session that the backup never heard of");
        const { assert!(3 * LEAP < 16_384, "a device must go along") };
    }

    #[test]
    fn news_of_an_earlier_push_are_known_as_such() {
        let told = |session: &str, f_cnt| Numbered { id: id("x"), session: Some(session.into()), f_cnt: Some(f_cnt) };
        let mut sessions = Sessions::default();
        sessions.note(heard("a", 0));
        assert_eq!(sessions.is_last_push(&told("a", 1)), None);
        sessions.number(&id("x"));
        sessions.number(&id("x"));
        assert_eq!(sessions.is_last_push(&told("a", 1)), Some(false));
        assert_eq!(sessions.is_last_push(&told("b", 2)), Some(false));
        assert_eq!(sessions.is_last_push(&told("a", 2)), Some(true));
        assert_eq!(sessions.is_last_push(&Numbered { f_cnt: None, ..told("a", 2) }), None);
        for n in 0..MOST_PUSHED {
            sessions.number(&id(&format!("n{n}")));
        }
        assert_eq!(sessions.is_last_push(&told("a", 2)), None);
    }

    /// What stores of older versions hold must be readable for ever.
    #[test]
    fn sessions_are_kept_in_this_shape_and_without_a_key() {
        let mut sessions = Sessions::default();
        sessions.note(News { payloads: Some(Payloads::Plain), dev_addr: None, ..heard("p", 0) });
        let mut news = heard("a", 4);
        let Some(Payloads::Encrypted(envelope)) = &mut news.payloads else { unreachable!("it was made so") };
        envelope.key = Some("in the clear".into());
        sessions.note(news);
        sessions.number(&id("x"));
        let body = serde_json::to_string(&sessions).unwrap();
        let kept = r#"{"known":[{"id":"p","dev_addr":null,"payloads":"plain","f_cnt_down":0},{"id":"a","dev_addr":[1,2,3,97],"payloads":{"encrypted":{"kek_label":"kek","encrypted_key":"a"}},"f_cnt_down":5}],"pushed":[{"id":"x","session":"a","f_cnt":5}]}"#;
        assert_eq!(body, kept);
        let mut back: Sessions = serde_json::from_str(kept).unwrap();
        assert_eq!(back.number(&id("y")), Some(6));
    }

    proptest! {
        #[test]
        fn no_counter_of_a_session_is_given_out_twice(
            turns in prop::collection::vec((0..5u8, 0..3usize, 0..20u32), 1..200)
        ) {
            let (mut sessions, mut given) = (Sessions::default(), std::collections::HashSet::new());
            for (turn, session, count) in turns {
                let name = ["a", "b", "c"][session];
                match turn {
                    0 => drop(sessions.note(heard(name, count))),
                    1 => drop(sessions.note(counted(name, count))),
                    2 => drop(sessions.corrected(&hint(Some(name), Some(count)))),
                    // The process dies, and goes on with what the store has.
                    3 => sessions = serde_json::from_str(&serde_json::to_string(&sessions).unwrap()).unwrap(),
                    _ => if let Some(f_cnt) = sessions.number(&id("x")) {
                        let current = sessions.current().unwrap().id.clone();
                        prop_assert!(given.insert((current.clone(), f_cnt)), "{} of {}", f_cnt, current);
                    },
                }
            }
        }
    }
}
