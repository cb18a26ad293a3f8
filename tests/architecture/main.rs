//! Checks what ARCHITECTURE.md promises: who may import whom, one door for each outside crate, and the shape of files.
//!
//! It reads the sources as text, with comments and literals blanked out. A rule here is an "Architecture Invariant:"
//! there; change both or neither.

mod messages;
mod source;

use source::Source;

/// The modules of `src/`, lowest first. Each imports from lower layers only, never from one beside it.
const LAYERS: [&[&str]; 8] = [
    &["model"],
    &["mqtt", "telemetry"],
    &["network", "home", "codecs", "store"],
    &["uplink", "downlink"],
    &["control", "config", "shutdown"],
    &["web"],
    &["app"],
    &["cli"],
];

/// The one place where a network server's parts are made of its configuration: it may ask for files and trust.
const MAY_SEE_CONFIG: &str = "src/network/ttn/parts.rs";
/// Who may know that the network is The Things Stack.
const MAY_SEE_TTN: [&str; 4] = ["network", "config", "app", "cli"];

/// Outside crates that one place each may touch, so that each can be swapped there. Tests may use them.
const DOORS: [(&str, &[&str]); 25] = [
    ("rumqttc", &["src/mqtt/", "simulator/src/wire.rs"]),
    ("rumqttc_v5", &["src/mqtt/"]),
    ("clap", &["src/cli/"]),
    ("tokio_tungstenite", &["src/cli/"]),
    ("anyhow", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("clap_mangen", &["src/cli/"]),
    ("rpassword", &["src/cli/"]),
    ("minijinja", &["src/home/topics/"]),
    ("toml", &["src/config/", "payload-codecs/src/devices/", "payload-codecs/src/table/"]),
    ("reqwest", &["src/network/ttn/", "src/cli/"]),
    ("rusqlite", &["src/store/sqlite/"]),
    ("rquickjs", &["payload-codecs/src/javascript/"]),
    ("serde_saphyr", &["payload-codecs/src/repository.rs"]),
    ("notify", &["src/codecs/reload/"]),
    ("aes", &["src/network/ttn/end_to_end/"]),
    ("aes_kw", &["src/network/ttn/end_to_end/", "simulator/src/stack/"]),
    ("memmap2", &["payload-codecs/src/javascript/arena/"]),
    ("prometheus_client", &["src/telemetry/"]),
    ("sd_notify", &["src/telemetry/"]),
    ("flate2", &["src/web/"]),
    ("hyper", &["src/web/"]),
    ("hyper_util", &["src/web/"]),
    ("axum", &["src/web/", "simulator/src/"]),
    ("lorawan", &["simulator/src/"]),
];

/// Code that decides and computes: no clock, disk, network or task in it. Time is an argument.
const PURE: [&str; 9] = [
    "src/model/",
    "src/home/availability/",
    "src/home/assistant/",
    "src/downlink/queue/",
    "src/uplink/gaps/",
    "src/uplink/memory/",
    "src/uplink/feed.rs",
    "src/mqtt/outbox/",
    "payload-codecs/src/",
];
/// Signs that it is not.
const IMPURE: [&str; 8] =
    ["tokio::", "std::fs", "std::net", "std::thread", "Instant::now", "SystemTime", "Timestamp::now", "Zoned::now"];
/// Where scripts are held to their time limit: the one look at a clock that computing needs.
const TIMES_SCRIPTS: (&str, &str) = ("payload-codecs/src/javascript/engine.rs", "Instant::now");

const LONGEST_FUNCTION: usize = 80;
const LONGEST_FILE: usize = 500;
/// Names that say nothing about what is inside.
const SAYS_NOTHING: [&str; 5] = ["util", "utils", "helpers", "common", "misc"];

#[test]
fn modules_import_downwards_only() {
    let sources = Source::all(&["src"]);
    let mut problems = Vec::new();
    for source in &sources {
        let Some(module) = source.module().filter(|module| !["lib", "main"].contains(module)) else { continue };
        let Some(own) = layer(module) else {
            problems.push(format!("{}: module `{module}` has no layer yet", source.path));
            continue;
        };
        for (at, path) in source.imports() {
            let target = path.first().map_or("", String::as_str);
            let config = target == "config" && source.path == MAY_SEE_CONFIG;
            if target != module && !config && layer(target).is_none_or(|layer| layer >= own) {
                problems.push(source.problem(at, &format!("`{module}` may not import `{}`", path.join("::"))));
            }
            if target == "network" && path.get(1).is_some_and(|it| it == "ttn") && !MAY_SEE_TTN.contains(&module) {
                problems.push(source.problem(at, &format!("`{module}` may not know which network server there is")));
            }
        }
    }
    let imports: usize = sources.iter().map(|source| source.imports().len()).sum();
    assert!(imports > 50, "only {imports} imports were found in src/");
    report(&problems);
}

#[test]
fn an_outside_crate_has_one_door() {
    let sources = Source::all(&["src", "payload-codecs/src", "simulator/src"]);
    let mut problems = Vec::new();
    for (name, doors) in DOORS {
        let mut used = false;
        for source in sources.iter().filter(|source| !source.is_test) {
            let inside = doors.iter().any(|door| source.path.starts_with(door));
            for at in source.paths_from(name) {
                used = true;
                if !inside {
                    problems.push(source.problem(at, &format!("`{name}` is for {} only", doors.join(" and "))));
                }
            }
        }
        assert!(used, "nobody uses `{name}`: its rule has lost its object");
    }
    report(&problems);
}

#[test]
fn what_decides_touches_nothing_outside() {
    let sources = Source::all(&["src", "payload-codecs/src"]);
    let mut problems = Vec::new();
    for place in PURE {
        let mut found = false;
        for source in sources.iter().filter(|source| source.path.starts_with(place) && !source.is_test) {
            found = true;
            for sign in IMPURE.into_iter().filter(|sign| (source.path.as_str(), *sign) != TIMES_SCRIPTS) {
                let hits = source.without_tests().match_indices(sign).map(|(at, _)| at).collect::<Vec<_>>();
                problems.extend(hits.into_iter().map(|at| source.problem(at, &format!("`{sign}` in pure code"))));
            }
        }
        assert!(found, "no file in {place}");
    }
    report(&problems);
}

#[test]
fn every_file_says_what_it_is_for_and_has_one_look() {
    let mut problems = Vec::new();
    for source in Source::everywhere() {
        if !source.text.starts_with("//! ") {
            problems.push(format!("{}: does not open with a `//! ` line that says what it is for", source.path));
        }
        if source.lines() > LONGEST_FILE {
            problems.push(format!("{}: {} lines, at most {LONGEST_FILE}", source.path, source.lines()));
        }
        let name = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        let folders = source.path.split('/');
        if folders.chain([name]).any(|part| SAYS_NOTHING.contains(&part)) {
            problems.push(format!("{}: a name that says nothing", source.path));
        }
    }
    report(&problems);
}

#[test]
fn a_function_is_read_in_one_look() {
    let (mut problems, mut seen) = (Vec::new(), 0);
    for source in Source::everywhere() {
        for function in source.functions() {
            seen += 1;
            let lines = source.code[function.clone()].lines().count();
            if lines > LONGEST_FUNCTION {
                problems.push(source.problem(function.start, &format!("{lines} lines, at most {LONGEST_FUNCTION}")));
            }
        }
    }
    assert!(seen > 500, "only {seen} functions were found");
    report(&problems);
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let sources = Source::all(&["src", "payload-codecs/src", "simulator/src"]);
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        let code = source.without_tests();
        problems.extend(code.match_indices(".unwrap()").map(|(at, _)| {
            source.problem(at, "`unwrap` outside tests: an error, or an `expect` that states why it cannot happen")
        }));
    }
    report(&problems);
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n(the rules are in ARCHITECTURE.md)\n", problems.join("\n"));
}
