// A console that keeps what is written to it for the host: [how many lines were written, the first of them …].
(function (slots) {
  "use strict";
  var LINES = 32;
  var LONGEST = 500;
  var apply = Reflect.apply;
  var slice = String.prototype.slice;
  var stringify = JSON.stringify;
  var text = String;
  var lines = slots[5];
  for (var i = 0; i <= LINES; i++) lines[i] = 0;

  function show(value) {
    try {
      return (typeof value === "object" && value !== null && stringify(value)) || text(value);
    } catch (unwilling) {
      return "[" + typeof value + "]";
    }
  }

  function write() {
    var line = "";
    for (var i = 0; i < arguments.length && line.length < LONGEST; i++) {
      line += (i > 0 ? " " : "") + apply(slice, show(arguments[i]), [0, LONGEST]);
    }
    if (lines[0] < LINES) lines[lines[0] + 1] = apply(slice, line, [0, LONGEST]);
    lines[0]++;
  }

  var console = {};
  ["debug", "error", "info", "log", "trace", "warn"].forEach(function (level) {
    console[level] = function () { apply(write, undefined, arguments); };
  });
  Object.defineProperty(globalThis, "console", {
    value: console, configurable: true, enumerable: false, writable: true,
  });
})
