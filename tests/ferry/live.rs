//! Everything that the home is told, heard over the WebSocket as well; what happened is known afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use ttn_ferry::shutdown::Ended;

use crate::harness::{Ferry, Heard, Process, Stage, in_time};

struct Listener(WebSocketStream<UnixStream>);

impl Listener {
    /// With the greeting.
    async fn of(stage: &Stage, query: &str) -> (Self, Value) {
        let stream = UnixStream::connect(stage.socket()).await.unwrap();
        let opened = in_time("a WebSocket", client_async(format!("ws://ferry/api/v1/live{query}"), stream)).await;
        let mut listener = Self(opened.unwrap().0);
        let hello = listener.next().await;
        (listener, hello)
    }

    async fn next(&mut self) -> Value {
        match in_time("a frame", self.0.next()).await.expect("the connection stands").unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// All frames up to the one that is wanted.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.next().await);
            if heard.last().is_some_and(&wanted) {
                return heard;
            }
        }
    }
}

/// The topic on which the home gets the same, and the same.
fn at_home(mut frame: Value) -> Option<(String, Value)> {
    let device = frame["device"].as_str().unwrap_or_default().to_owned();
    let mut data = frame["data"].take();
    let topic = match frame["kind"].as_str()? {
        "state" => format!("ttn/{device}"),
        kind @ ("uplink" | "availability") => format!("ttn/{device}/{kind}"),
        "pending" => format!("ttn/{device}/downlink/pending"),
        "downlink" => format!("ttn/{device}/downlink/state"),
        "bridge" => "ttn/bridge/event".to_owned(),
        "event" => format!("ttn/{device}/event/{}", data.as_object_mut()?.remove("name")?.as_str()?),
        _ => return None,
    };
    Some((topic, data))
}

fn is_uplink(frame: &Value, f_cnt: u32) -> bool {
    frame["kind"] == "uplink" && frame["data"]["f_cnt"] == f_cnt
}

/// By topic, in order; what a broker gets again is no news.
fn by_topic(told: impl IntoIterator<Item = (String, Value)>) -> BTreeMap<String, Vec<Value>> {
    let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (topic, body) in told {
        let known = topics.entry(topic).or_default();
        if known.last() != Some(&body) {
            known.push(body);
        }
    }
    topics
}

#[tokio::test]
async fn what_the_home_gets_is_heard_live_word_for_word() {
    let mut ferry = Ferry::start().await;
    let (_, hello) = Listener::of(&ferry, "").await;
    let before = hello["oldest"].as_u64().unwrap() - 1;
    let (mut listener, _) = Listener::of(&ferry, &format!("?after={before}")).await;
    for f_cnt in [1, 4] {
        ferry.network.up("node", f_cnt, b"x");
        ferry.home.wait_for("the uplink", |it| it.topic == "ttn/node/uplink" && it.json()["f_cnt"] == f_cnt).await;
    }
    ferry.home.on("ttn/node/event/lost_frames").await;
    let command = json!({"device": "node", "f_port": 2, "payload_hex": "01"});
    assert_eq!(ferry.ask("POST", "downlinks", command.to_string()).await.0.as_u16(), 201);
    ferry.home.on("ttn/node/downlink/state").await;
    ferry.network.up("node", 5, b"x");
    ferry.home.wait_for("the last", |it| it.topic == "ttn/node/uplink" && it.json()["f_cnt"] == 5).await;
    let frames = listener.until(|frame| is_uplink(frame, 5)).await;
    let numbers: Vec<_> = frames.iter().map(|frame| frame["event"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    let live = by_topic(frames.into_iter().filter_map(at_home));
    let heard = ferry.home.heard().iter().filter(|heard| live.contains_key(&heard.topic));
    let home = by_topic(heard.map(|heard| (heard.topic.clone(), heard.json())));
    for topic in
        ["ttn/node", "ttn/node/uplink", "ttn/node/event/lost_frames", "ttn/node/downlink/state", "ttn/bridge/event"]
    {
        assert!(live.contains_key(topic), "{topic}: {:?}", live.keys());
    }
    for (topic, told) in &live {
        let got = home.get(topic).unwrap_or_else(|| panic!("{topic} was not told at home"));
        assert!(got.iter().zip(told).all(|(got, told)| got == told), "{topic}: {got:?} {told:?}");
    }
    assert_eq!(home["ttn/node/uplink"], live["ttn/node/uplink"]);
}

#[tokio::test]
async fn numbers_events_and_states_go_on_after_a_restart() {
    let ferry = Ferry::start().await;
    let (mut listener, _) = Listener::of(&ferry, "?kinds=uplink").await;
    ferry.network.up("node", 1, b"x");
    let last = listener.next().await["event"].as_u64().unwrap();
    let (ended, stage) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped);
    let Some(Ok(Message::Close(Some(close)))) = in_time("the end", listener.0.next()).await else { panic!("cut") };
    assert_eq!(u16::from(close.code), 1001);

    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    let (mut listener, hello) = Listener::of(&ferry, &format!("?kinds=uplink&after={last}")).await;
    assert!(hello["oldest"].as_u64().unwrap() > last + 1, "{hello}");
    let missed = listener.next().await;
    assert_eq!((&missed["type"], &missed["from"]), (&json!("missed"), &json!(last + 1)));
    ferry.network.up("node", 2, b"x");
    assert!(is_uplink(&listener.next().await, 2));

    // Behind the uplink itself, by other ways.
    ferry.home.wait_for("the state", |it| it.topic == "ttn/node" && it.json()["link"]["f_cnt"] == 2).await;
    for kind in ["network_connected", "device_seen_first"] {
        let is_it = |heard: &Heard| heard.topic == "ttn/bridge/event" && heard.json()["type"] == kind;
        ferry.home.wait_for_many(2, kind, is_it).await;
    }
    let (_, _, states) = ferry.ask("GET", "states", "").await;
    assert_eq!((&states[0]["device"], &states[0]["state"]["link"]["f_cnt"]), (&json!("node"), &json!(2)));
    let (status, _, events) = ferry.ask("GET", "events?kind=bridge&limit=1000", "").await;
    assert_eq!(status, 200, "{events}");
    let events = events["events"].as_array().unwrap();
    let numbers: Vec<_> = events.iter().map(|event| event["event"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] > pair[1]), "{numbers:?}");
    let connected = events.iter().filter(|event| event["type"] == "network_connected");
    assert_eq!(connected.count(), 2, "before and after: {events:?}");
    let older = format!("events?kind=bridge&limit=2&before={}", numbers[0]);
    let (_, _, older) = ferry.ask("GET", &older, "").await;
    assert_eq!(older["events"].as_array().unwrap(), &events[1..3], "from the ring and from the store");
    let (_, _, own) = ferry.ask("GET", "events?device=node", "").await;
    let own = own["events"].as_array().unwrap().clone();
    assert!(own.iter().all(|event| event["device_id"] == "node" && event["device"] == "node"), "{own:?}");
    assert_eq!(own.iter().filter(|event| event["type"] == "device_seen_first").count(), 2, "{own:?}");
    let (_, _, gaps) = ferry.ask("GET", "gaps", "").await;
    assert_eq!(
        (&gaps["gaps"][0]["state"], &gaps["gaps"][0]["why"]),
        (&json!("open"), &json!("the bridge was not running"))
    );
    let (_, _, applications) = ferry.ask("GET", "applications", "").await;
    assert_eq!(applications["applications"][0]["gaps_open"], 1, "{applications}");
    assert_eq!(applications["applications"][0]["uplinks"], 1, "{applications}");
}

#[tokio::test]
async fn clients_that_never_read_cost_the_others_nothing() {
    const UPLINKS: u32 = 300;
    let ferry = Ferry::start().await;
    let (mut deaf, mut listeners) = (Vec::new(), Vec::new());
    for client in 0..50 {
        match client % 10 {
            0 => deaf.push(Listener::of(&ferry, "").await.0),
            _ => listeners.push(Listener::of(&ferry, "?kinds=uplink,state").await.0),
        }
    }
    (1..=UPLINKS).for_each(|f_cnt| ferry.network.up("node", f_cnt, &[7; 200]));
    let first = listeners[0].until(|frame| is_uplink(frame, UPLINKS)).await;
    let uplinks = first.iter().filter(|frame| frame["kind"] == "uplink");
    let counters: Vec<_> = uplinks.map(|frame| frame["data"]["f_cnt"].as_u64().unwrap()).collect();
    assert!(counters.iter().copied().eq(1..=UPLINKS.into()), "{counters:?}");
    for listener in &mut listeners[1..] {
        assert_eq!(listener.until(|frame| is_uplink(frame, UPLINKS)).await, first, "the same for all");
    }
    let (ended, _) = ferry.stop().await;
    assert_eq!(ended, Ended::Stopped, "those that never read hold up no end");
}

/// Uplinks keep coming until the command has had enough.
async fn while_uplinks_come<T>(ferry: &Ferry, from: u32, command: impl Future<Output = T>) -> T {
    let (mut command, mut ticks) = (std::pin::pin!(command), tokio::time::interval(Duration::from_millis(20)));
    let mut f_cnt = from;
    loop {
        tokio::select! {
            told = &mut command => return told,
            _ = ticks.tick() => {
                ferry.network.up("node", f_cnt, b"x");
                f_cnt += 1;
            }
        }
    }
}

#[tokio::test]
async fn tail_shows_readings_and_ends_when_it_has_enough() {
    let ferry = Ferry::start().await;
    let told = while_uplinks_come(&ferry, 1, ferry.command(&["tail", "--count", "3", "--json"])).await;
    let counters: Vec<_> = told.json_lines().iter().map(|line| line["data"]["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!((told.code, counters.len()), (Some(0), 3), "{told:?}");
    assert!(counters.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{counters:?}");
    let text = while_uplinks_come(&ferry, 10_000, ferry.command(&["tail", "app1/node", "--count", "1"])).await;
    assert!(text.out.contains("  node  ") && !text.out.contains('\x1b'), "{text:?}");
    let none = ferry.command(&["tail", "nobody", "--kinds", "state", "--for", "10ms"]).await;
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""), "{none:?}");
    assert_eq!(ferry.command(&["tail", "--kinds", "uplnk"]).await.code, Some(64));
}

#[tokio::test]
async fn tail_goes_on_when_the_bridge_comes_back_and_says_what_it_cannot_tell() {
    let ferry = Ferry::start().await;
    let mut tail = Process::ferry_that(&["tail"], &ferry.configuration());
    while_uplinks_come(&ferry, 1, tail.says("node")).await;
    let (_, stage) = ferry.stop().await;
    tail.says("the bridge went away").await;
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    tail.says("the bridge is back").await;
    tail.says("cannot be told here any more").await;
    while_uplinks_come(&ferry, 5_000, tail.says("node")).await;
    tail.signal("TERM").await;
}

#[tokio::test]
async fn status_and_gaps_are_for_people_and_for_scripts() {
    let ferry = Ferry::start().await;
    let told = ferry.command(&["status"]).await;
    assert!(told.out.contains("all is well") && told.out.contains("app1  connected"), "{told:?}");
    assert_eq!(told.code, Some(0), "{told:?}");
    let told = ferry.command(&["status", "--json"]).await.json();
    assert_eq!((&told["well"], &told["backlog"], &told["downlinks_open"]), (&json!(true), &json!(0), &json!(0)));
    let gaps = ferry.command(&["gaps"]).await;
    assert_eq!((gaps.code, gaps.out.as_str()), (Some(0), ""), "{gaps:?}");
    assert_eq!(ferry.command(&["gaps", "--json"]).await.json(), json!({"gaps": []}));
    let (_, stage) = ferry.stop().await;
    assert_eq!(stage.command(&["status"]).await.code, Some(69));
    assert_eq!(stage.command(&["tail"]).await.code, Some(69));
}
