//! Nothing that one call leaves behind reaches the next: routes by which state could leak, one by one and at random.

use payload_codecs::{Codec, CodecError, Engines, Limits};
use proptest::prelude::*;
use serde_json::json;

use crate::{PATIENT, data, loaded, returning, source, uplink};

/// What a call changes, and an expression that shows the change.
const ROUTES: &[(&str, &str)] = &[
    // The script's own variables.
    ("own++", "own"),
    ("lexical++", "lexical"),
    ("constant.push(1)", "constant.length"),
    ("count()", "count()"),
    ("decodeUplink.calls = 1", "decodeUplink.calls"),
    ("decodeUplink = null", "String(decodeUplink)"),
    ("arguments.callee.kept = 1", "arguments.callee.kept"),
    ("generator.next()", "generator.next().value"),
    ("Reading.seen = 1", "Reading.seen"),
    ("Reading.add()", "Reading.add()"),
    ("regexp.test('aXa')", "regexp.lastIndex"),
    ("memo.set('k', 1)", "memo.get('k')"),
    ("weak.set(constant, 1)", "weak.get(constant)"),
    ("view.setUint8(0, 7)", "bytes[0]"),
    // Variables nobody declared.
    ("leaked = 1", "typeof leaked"),
    ("globalThis.leaked = 1", "typeof leaked"),
    ("this.leaked = 1", "typeof leaked"),
    ("Object.defineProperty(globalThis, 'leaked', {value: 1})", "typeof leaked"),
    ("Object.defineProperty(globalThis, 'leaked', {get: function () { return 1; }})", "typeof leaked"),
    ("globalThis[Symbol.for('leaked')] = 1", "globalThis[Symbol.for('leaked')]"),
    ("(0, eval)('var leaked = 1')", "typeof leaked"),
    ("(0, eval)('let leaked2 = 1; globalThis.again = (globalThis.again | 0) + 1')", "globalThis.again"),
    ("new Function('leaked = 1')()", "typeof leaked"),
    ("delete globalThis.Map", "typeof Map"),
    // The language's own objects.
    ("Object.assign = 1", "typeof Object.assign"),
    ("Object.prototype.leaked = 1", "({}).leaked"),
    ("({}).__proto__.leaked = 1", "({}).leaked"),
    ("Array.prototype.leaked = 1", "[].leaked"),
    ("Array.prototype[1] = 'hole'", "[0, , 2][1]"),
    ("Array.prototype.map = function () { return 'mine'; }", "[1].map(function () { return 1; })"),
    ("Array[Symbol.species] = 1; Object.defineProperty(Array, Symbol.species, {value: Own})", "[1].slice().kind"),
    ("Array.prototype[Symbol.iterator] = function* () { yield 'mine'; }", "[...[1]]"),
    ("Function.prototype.leaked = 1", "count.leaked"),
    ("Number.prototype.toFixed = function () { return 'mine'; }", "(1).toFixed(1)"),
    ("String.prototype.toString = function () { return 'mine'; }", "new String('x').toString()"),
    ("Date.now = function () { return 7; }", "Date.now() === 7"),
    ("Date.prototype.getHours = function () { return 77; }", "new Date(0).getHours()"),
    ("Date = 1", "typeof Date"),
    ("Math.PI2 = 6", "Math.PI2"),
    ("Math.random = 1", "typeof Math.random"),
    ("JSON = {stringify: 1}", "typeof JSON.stringify"),
    ("undefined_ = 1; Object.defineProperty(Object.prototype, 'fPort', {value: 99})", "({}).fPort"),
    ("Object.defineProperty(Object.prototype, 'trap', {get: function () { return 1; }})", "({}).trap"),
    (
        "Object.defineProperty(Object.prototype, 'trap', {set: function () {}, get: function () { return 2; }})",
        "({}).trap",
    ),
    ("Object.setPrototypeOf(Array.prototype, {inherited: 1})", "[].inherited"),
    ("Object.freeze(Array.prototype)", "Object.isFrozen(Array.prototype)"),
    ("Object.seal(Math)", "Object.isSealed(Math)"),
    ("Object.preventExtensions(globalThis)", "Object.isExtensible(globalThis)"),
    ("Object.freeze(Object.prototype)", "Object.isFrozen(Object.prototype)"),
    ("Error.prepareStackTrace = function () { return 'mine'; }", "typeof Error.prepareStackTrace"),
    ("Symbol.for('leaked'); registered = Symbol.keyFor(Symbol.for('leaked'))", "typeof registered"),
    ("/(a)(b)/.exec('ab')", "RegExp.$1 === undefined ? typeof before : RegExp.$1"),
    ("RegExp.prototype.test = function () { return 'mine'; }", "/x/.test('x')"),
    ("Promise.prototype.then = 1", "typeof Promise.prototype.then"),
    ("Promise.resolve().then(function () { later = 1; }); Promise.leaked = 1", "typeof later + Promise.leaked"),
    ("async function wait() { await null; later = 1; } wait(); wait.ran = waited = 1", "typeof later + typeof waited"),
    ("ref = new WeakRef(constant)", "typeof ref"),
    ("(registry = new FinalizationRegistry(function () { late = 1; })).register({})", "typeof registry + typeof late"),
    ("Object.getPrototypeOf(generator).leaked = 1", "generator.leaked"),
    ("Object.getPrototypeOf(Int8Array).leaked = 1", "Uint8Array.leaked"),
    ("new Uint8Array(shared)[0] = 9", "new Uint8Array(shared)[0]"),
    ("bytes.buffer.transfer()", "bytes.length"),
    // What the host gave.
    ("console.log = 1", "typeof console.log"),
    ("console = 1", "typeof console"),
    ("Buffer.from = 1", "typeof Buffer.from"),
    ("Buffer.prototype.toString = 1", "typeof Buffer.prototype.toString"),
    ("TextDecoder.prototype.decode = 1", "typeof TextDecoder.prototype.decode"),
    ("atob = 1", "typeof atob"),
    ("input.bytes.push(9)", "input.bytes.length"),
    ("input.bytes.__proto__.pushed = 1", "[].pushed"),
    ("Object.defineProperty(input, 'fPort', {get: function () { return -1; }})", "input.fPort"),
    ("input.recvTime.setTime(0); input.recvTime.constructor.leaked = 1", "Date.leaked"),
    ("kept = input", "typeof kept"),
];

const GROUND: &str = "
    var own = 0, constant0 = 0; let lexical = 0; const constant = [];
    var count = (function () { var n = 0; return function () { return ++n; }; })();
    var generator = (function* () { var n = 0; for (;;) yield n++; })();
    class Reading { static #n = 0; static add() { return ++Reading.#n; } }
    class Own extends Array { get kind() { return 'mine'; } }
    var regexp = /X/g, memo = new Map(), weak = new WeakMap(), shared = new ArrayBuffer(8);
    var bytes = new Uint8Array(8), view = new DataView(bytes.buffer);
    // Buffer TextDecoder
    ";

#[test]
fn no_change_outlives_its_call() {
    let engines = Engines::new(&PATIENT).unwrap();
    for (change, shown) in ROUTES {
        let script = format!(
            "{GROUND} function decodeUplink(input) {{
                var before = {shown}; {change};
                return {{data: {{before: before, after: {shown}}}}};
            }}"
        );
        let mut codec = engines.load(&source(&script)).unwrap();
        let first = uplink(codec.as_mut(), &[1]).unwrap_or_else(|error| panic!("{change}: {error}"));
        let first = data(&first);
        assert_ne!(first.get("before"), first.get("after"), "{change} changes nothing that {shown} shows");
        for _ in 0..3 {
            assert_eq!(data(&uplink(codec.as_mut(), &[1]).unwrap()), first, "{change}");
        }
    }
}

#[test]
fn no_change_reaches_another_codec_of_the_same_engine() {
    let engines = Engines::new(&PATIENT).unwrap();
    let witness = "function decodeUplink() { return {data: {leaked: [typeof leaked, [].leaked, ({}).leaked,
        typeof JSON.stringify, typeof console.log, Object.isFrozen(Array.prototype), typeof own]}}; }";
    let mut witness = engines.load(&source(witness)).unwrap();
    let before = data(&uplink(witness.as_mut(), &[]).unwrap());
    for (change, _) in ROUTES {
        let script = format!("{GROUND} function decodeUplink(input) {{ {change}; return {{data: {{}}}}; }}");
        let mut codec = engines.load(&source(&script)).unwrap();
        let _ = uplink(codec.as_mut(), &[1]);
        assert_eq!(data(&uplink(witness.as_mut(), &[]).unwrap()), before, "{change}");
    }
}

#[test]
fn a_call_that_fails_leaves_nothing_either() {
    let limits = Limits { time: std::time::Duration::from_millis(40), ..PATIENT };
    let engines = Engines::new(&limits).unwrap();
    for failure in [
        "throw new Error('no')",
        "for (;;);",
        "for (var hoard = [];;) hoard.push([hoard])",
        "(function again() { again(); })()",
        "return {errors: ['no']}",
        "return 5",
        "null.x",
    ] {
        let script = format!(
            "var n = 0; function decodeUplink(input) {{ n++; Array.prototype.n = ([].n | 0) + 1;
                if (input.bytes[0]) {{ {failure} }} return {{data: {{n: n, polluted: [].n}}}}; }}"
        );
        let mut codec = engines.load(&source(&script)).unwrap();
        for _ in 0..2 {
            assert!(uplink(codec.as_mut(), &[1]).is_err(), "{failure}");
            assert_eq!(answer(codec.as_mut()), json!({"n": 1, "polluted": 1}), "{failure}");
        }
    }
}

/// A busy machine may make a good call late; that it answers at all is what counts.
fn answer(codec: &mut dyn Codec) -> serde_json::Value {
    let again = (0..50).find_map(|_| match uplink(codec, &[0]) {
        Err(CodecError::TimedOut { .. }) => None,
        outcome => Some(outcome.unwrap()),
    });
    data(&again.expect("one of many tries is in time"))
}

#[test]
fn many_codecs_take_turns_and_each_keeps_to_itself() {
    let engines = Engines::new(&PATIENT).unwrap();
    let script = |n: usize| {
        format!(
            "var all = []; for (var i = 0; i < {n} * 50; i++) all.push('entry ' + i); Array.prototype.of = {n};
            function decodeUplink() {{ all.push({n}); [].constructor.prototype.of++; return {{data: {{n: all.length, of: [].of}}}}; }}"
        )
    };
    let mut codecs: Vec<_> = (0..40).map(|n| engines.load(&source(&script(n))).unwrap()).collect();
    for _ in 0..5 {
        for (n, codec) in codecs.iter_mut().enumerate() {
            assert_eq!(data(&uplink(codec.as_mut(), &[]).unwrap()), json!({"n": n * 50 + 1, "of": n + 1}));
        }
    }
    // Codecs may go in any order, and outlive what loaded them.
    drop(codecs.drain(..20));
    drop(engines);
    assert_eq!(data(&uplink(codecs[0].as_mut(), &[]).unwrap()), json!({"n": 1001, "of": 21}));
}

#[test]
fn engines_on_several_threads_work_side_by_side() {
    let threads: Vec<_> = (0..4)
        .map(|n| {
            std::thread::spawn(move || {
                let mut codec =
                    loaded(&format!("var n = {n}; function decodeUplink() {{ return {{data: {{n: n++}}}}; }}"));
                (0..200).all(|_| data(&uplink(codec.as_mut(), &[]).unwrap()) == json!({"n": n}))
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn the_host_does_not_use_what_a_codec_can_replace() {
    let script = "
        JSON = {parse: function () { return 'mine'; }, stringify: function () { return 'mine'; }};
        Object.keys = Object.assign = Array.isArray = function () { return []; };
        Object.prototype.toJSON = function () { return 'mine'; };
        Date.prototype.toISOString = Date.prototype.getTime = function () { return 'mine'; };
        Map.prototype.forEach = Set.prototype.forEach = function () {};
        String.prototype.toWellFormed = function () { return 'mine'; };
        Reflect.apply = Function.prototype.call = Function.prototype.apply = function () { return 'mine'; };
        ['0', 'bytes', 'fPort', 'recvTime'].forEach(function (key) {
            Object.defineProperty(Object.prototype, key, {set: function () { throw new Error('misled'); }});
        });
        function decodeUplink(input) {
            Symbol = Date = Map = Reflect = undefined;
            return {data: {at: input.recvTime, typed: new Uint8Array([1]), odd: '\\ud800', list: input.bytes}};
        }";
    let decoded = uplink(loaded(script).as_mut(), &[1]).unwrap();
    let mut seen = data(&decoded);
    seen.as_object_mut().unwrap().remove("toJSON");
    assert_eq!(seen, json!({"at": "2023-11-14T22:13:20.123Z", "typed": [1], "odd": "\u{FFFD}", "list": [1]}));
}

#[test]
fn two_codecs_share_nothing() {
    let mut polluter = loaded("Array.prototype.map = null; shared = 1; function decodeUplink() { return {data: {}}; }");
    uplink(polluter.as_mut(), &[]).unwrap();
    let decoded = returning("{data: {map: typeof [].map, shared: typeof shared}}").unwrap();
    assert_eq!(data(&decoded), json!({"map": "function", "shared": "undefined"}));
}

/// Statements that change something, somewhere, somehow.
fn change() -> impl Strategy<Value = String> {
    let target = prop::sample::select(
        &[
            "globalThis",
            "Object",
            "Object.prototype",
            "Array.prototype",
            "Function.prototype",
            "String.prototype",
            "Date",
            "Date.prototype",
            "Math",
            "JSON",
            "Map.prototype",
            "RegExp.prototype",
            "Error.prototype",
            "console",
            "Promise.prototype",
            "Int8Array.prototype",
            "state",
            "decodeUplink",
            "input",
            "input.bytes",
            "Reflect",
        ][..],
    );
    let key = prop::sample::select(
        &["'a'", "'b'", "'0'", "'length'", "'map'", "'toString'", "'then'", "'log'", "Symbol.iterator"][..],
    );
    let value =
        prop::sample::select(&["1", "'s'", "[]", "{}", "null", "function () { return 7; }", "input", "[state]"][..]);
    (target, key, value, 0..9).prop_map(|(target, key, value, how)| match how {
        0 => format!("{target}[{key}] = {value}"),
        1 => format!("delete {target}[{key}]"),
        2 => format!(
            "Object.defineProperty({target}, {key}, {{get: function () {{ return {value}; }}, configurable: true}})"
        ),
        3 => format!("Object.defineProperty({target}, {key}, {{value: {value}}})"),
        4 => format!("Object.freeze({target})"),
        5 => format!("Object.setPrototypeOf({target}, {{k: {value}}})"),
        6 => format!("leak{} = {value}", key.len()),
        7 => format!("state.push({value}); state.n = (state.n | 0) + 1"),
        _ => format!("Promise.resolve({value}).then(function (v) {{ {target}[{key}] = v; }})"),
    })
}

/// A script that makes changes, and tells all it can see of the world before and after.
fn witness(changes: &[String]) -> String {
    let changes: String = changes.iter().map(|change| format!("try {{ {change}; }} catch (refused) {{}}\n")).collect();
    format!(
        "var state = [], see = (function (names, proto, frozen, symbols, text) {{
            return function (roots) {{
                var seen = '';
                for (var i = 0; i < roots.length; i++) {{
                    seen += '|' + frozen(roots[i]) + (proto(roots[i]) === null);
                    var keys = names(roots[i]);
                    for (var k = 0; k < keys.length; k++) {{
                        try {{ seen += ',' + keys[k] + typeof roots[i][keys[k]]; }} catch (e) {{ seen += '!'; }}
                    }}
                    seen += symbols(roots[i]).length;
                }}
                return seen;
            }};
        }})(Object.getOwnPropertyNames, Object.getPrototypeOf, Object.isFrozen, Object.getOwnPropertySymbols);
        var roots = [globalThis, Object, Object.prototype, Array.prototype, Function.prototype, String.prototype, Date,
            Date.prototype, Math, JSON, Map.prototype, RegExp.prototype, Error.prototype, console, Promise.prototype,
            Int8Array.prototype, state, Reflect];
        function decodeUplink(input) {{
            var before = see(roots);
            {changes}
            return {{data: {{before: before, after: see(roots), n: state.length}}}};
        }}"
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..Default::default() })]

    #[test]
    fn the_next_answer_is_the_same_whatever_the_script_changes(changes in prop::collection::vec(change(), 1..12)) {
        let mut codec = loaded(&witness(&changes));
        let first = uplink(codec.as_mut(), &[1, 2]);
        for _ in 0..3 {
            let next = uplink(codec.as_mut(), &[1, 2]);
            match (&first, &next) {
                (Ok(first), Ok(next)) => prop_assert_eq!(first.data.get(), next.data.get()),
                (Err(first), Err(next)) => prop_assert_eq!(first, next),
                _ => prop_assert!(false, "first {:?}, then {:?}", first, next),
            }
        }
    }
}
