// Calls a decoder with made-up payloads, each twice, in an engine that is not put back in between. Its value is a pair:
// what differs afterwards, and what the decoder missed.
(function (decode, older, names) {
  "use strict";
  var roots = {
    "Array.prototype": Array.prototype, "Date.prototype": Date.prototype, "Function.prototype": Function.prototype,
    "Number.prototype": Number.prototype, "Object.prototype": Object.prototype, "String.prototype": String.prototype,
    Array: Array, Date: Date, JSON: JSON, Math: Math, Number: Number, Object: Object, String: String,
  };
  var ownNames = Object.getOwnPropertyNames;
  var stringify = JSON.stringify;
  var evaluate = (0, eval);

  // What a value is now; a text stands for what is inside of it.
  function look(value) {
    if (value instanceof Map || value instanceof Set) return stringify(Array.from(value));
    if (value === null || typeof value !== "object" && typeof value !== "function") return value;
    try { return stringify(value) + stringify(Object.assign({}, value)); } catch (circular) { return value; }
  }

  function picture() {
    var seen = new Map();
    ownNames(globalThis).forEach(function (name) {
      if (!(name in roots) && name !== "globalThis") seen.set(name, look(globalThis[name]));
    });
    for (var root in roots) {
      ownNames(roots[root]).forEach(function (name) {
        try { seen.set(root + "." + name, roots[root][name]); } catch (accessor) { seen.set(root + "." + name, 0); }
      });
    }
    names.split(",").forEach(function (name) {
      try { seen.set(name, look(evaluate(name))); } catch (noSuchName) {}
    });
    return seen;
  }

  function answer(port, length) {
    var bytes = [];
    for (var i = 0; i < length; i++) bytes.push((i * 37 + 11 * port) & 255);
    try {
      return stringify(older ? decode(bytes, port) : decode({ bytes: bytes, fPort: port, recvTime: new Date(1.7e12) }));
    } catch (error) {
      var missed = /^'?([A-Za-z_$][\w$]*)'? is not defined$/.exec(error instanceof ReferenceError ? error.message : "");
      if (missed && missing.indexOf(missed[1]) < 0) missing.push(missed[1]);
      return "threw " + error;
    }
  }

  var missing = [];
  var kept = [];
  var before = picture();
  [1, 2, 3, 5, 6, 10, 85, 100].forEach(function (port) {
    [0, 1, 2, 4, 6, 8, 11, 24].forEach(function (length) {
      if (answer(port, length) !== answer(port, length) && kept.length === 0) kept.push("a second call answers otherwise");
    });
  });
  picture().forEach(function (value, name) {
    var old = before.get(name);
    if (!(before.has(name) && (old === value || old !== old && value !== value))) kept.push(name);
  });
  return [kept, missing];
})
