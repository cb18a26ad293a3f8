//! Requests that came over MQTT: so many at once, each answered when it is done.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::problem::{Kind, Problem};
use super::requests::Answer;
use super::{Answers, Body};
use crate::home::{Home, HomeRequest};

/// Requests under way at once: as many commands as the downlink flow lets wait.
const MOST_AT_ONCE: usize = 64;
/// The longest request that is read, and the longest answer that is sent, in bytes: with what else stands in a response
/// it fits into the longest message. Brokers may take less: EMQX takes 1 MiB unless told otherwise.
const LONGEST_REQUEST: usize = 256 << 10;
const LONGEST_ANSWER: usize = 3 << 20;
/// How long requests under way may take once nobody has anything to tell any more.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves requests beside each other, and answers them at home.
pub struct Serving {
    pub answers: Arc<Answers>,
    pub home: Home,
    /// Those that only wait end with it.
    pub stop: CancellationToken,
    pub running: JoinSet<()>,
}

/// What is published on `bridge/response/<command>`.
#[derive(Serialize)]
struct Response<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// As it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a RawValue>,
}

impl Serving {
    /// Begins with a request, or refuses it at once.
    pub async fn take(&mut self, request: HomeRequest) {
        while self.running.try_join_next().is_some() {}
        if self.running.len() >= MOST_AT_ONCE {
            let transaction = Body::parse(&request.payload).ok().and_then(|mut body| body.take_raw("transaction"));
            return respond(&self.home, request, &Err(too_many()), transaction.as_deref()).await;
        }
        let (answers, home, stop) = (self.answers.clone(), self.home.clone(), self.stop.clone());
        self.running.spawn(async move { serve(&answers, &home, request, &stop).await });
    }

    /// Waits for those under way, not for long; the rest is cut short.
    pub async fn finish(mut self) {
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            tracing::debug!(requests = self.running.len(), "Requests were cut short.");
        }
    }
}

async fn serve(answers: &Answers, home: &Home, request: HomeRequest, stop: &CancellationToken) {
    let (answer, transaction) = match read(&request.payload) {
        Ok(mut body) => {
            let transaction = body.take_raw("transaction");
            (answers.answer(&request.command, body, stop).await.and_then(fitting), transaction)
        }
        Err(problem) => (Err(problem), None),
    };
    respond(home, request, &answer, transaction.as_deref()).await;
}

async fn respond(home: &Home, request: HomeRequest, answer: &Answer, transaction: Option<&RawValue>) {
    let problem = answer.as_ref().err();
    let refused = problem.map(|problem| problem.detail.as_str());
    tracing::debug!(request = clip(&request.command), refused, "Request answered.");
    let response = Response {
        status: if problem.is_some() { "error" } else { "ok" },
        data: answer.as_deref().ok(),
        error: refused,
        hint: problem.and_then(|problem| problem.hint.as_deref()),
        transaction,
    };
    home.respond(&request.command, request.answering, &response).await;
}

fn read(payload: &[u8]) -> Result<Body, Problem> {
    match payload.len() {
        0..=LONGEST_REQUEST => Body::parse(payload),
        length => {
            let detail = format!("the request is {length} bytes: at most {LONGEST_REQUEST} are read");
            Err(Problem::new(Kind::TooLong, detail))
        }
    }
}

fn fitting(answer: Box<RawValue>) -> Answer {
    match answer.get().len() {
        0..=LONGEST_ANSWER => Ok(answer),
        length => {
            let detail = format!("the answer would be {length} bytes: at most {LONGEST_ANSWER} are sent");
            Err(Problem::new(Kind::TooLong, detail).hint("ask for less, or on the control socket"))
        }
    }
}

/// What the log repeats of a name.
fn clip(name: &str) -> String {
    name.chars().take(80).collect()
}

fn too_many() -> Problem {
    Problem::new(Kind::Unavailable, "too many requests at once").hint("wait for answers before you ask for more")
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::mqtt::{Message, unfit};

    #[test]
    fn what_is_too_long_for_a_message_is_told_and_not_sent() {
        let answer = |length| fitting(to_raw_value(&"x".repeat(length - 2)).unwrap());
        assert_eq!(answer(LONGEST_ANSWER).unwrap().get().len(), LONGEST_ANSWER);
        let problem = answer(LONGEST_ANSWER + 1).unwrap_err();
        assert!(problem.kind == Kind::TooLong && problem.hint.is_some(), "{problem:?}");
        let response = Message::new("t", vec![b' '; LONGEST_ANSWER + LONGEST_REQUEST + 1024]);
        assert_eq!(unfit(&response), None, "with the transaction it is no more than a message may have");
    }
}
