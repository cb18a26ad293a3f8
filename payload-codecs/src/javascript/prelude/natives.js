// Runs in an engine before any codec does, and keeps for the host what a codec may later overwrite. Its value is the list
// of slots that every call gets: see `host.rs`.
(function () {
  "use strict";
  var apply = Reflect.apply;
  var define = Reflect.defineProperty;
  var getter = function (prototype, key) {
    return Object.getOwnPropertyDescriptor(prototype, key).get;
  };
  var DateOfHost = Date;
  var toISOString = Date.prototype.toISOString;
  var getTime = Date.prototype.getTime;
  var typedArrayTag = getter(Object.getPrototypeOf(Int8Array.prototype), Symbol.toStringTag);
  var mapSize = getter(Map.prototype, "size");
  var mapForEach = Map.prototype.forEach;
  var setSize = getter(Set.prototype, "size");
  var setForEach = Set.prototype.forEach;
  var valueOfString = String.prototype.valueOf;
  var valueOfNumber = Number.prototype.valueOf;
  var valueOfBoolean = Boolean.prototype.valueOf;
  var WIDEST = 10n ** 308n;
  var toWellFormed = String.prototype.toWellFormed;

  // A method of the language throws when `value` is not of its kind: the one test that cannot be spoofed.
  var is = function (method, value) {
    try {
      apply(method, value, []);
      return true;
    } catch (wrongKind) {
      return false;
    }
  };

  // Appends; an assignment would run a setter that a codec put on a prototype.
  var put = function (list, item) {
    define(list, list.length, { __proto__: null, value: item, configurable: true, enumerable: true, writable: true });
  };

  // What stands for an object of a built-in class in JSON, by the rules of The Things Stack; other values as they are.
  var plain = function (value) {
    var list = [];
    if (apply(typedArrayTag, value, []) !== undefined) {
      for (var i = 0; i < value.length; i++) put(list, value[i]);
      return list;
    }
    if (is(getTime, value)) {
      var time = apply(getTime, value, []);
      return time === time ? apply(toISOString, value, []) : time;
    }
    if (is(mapSize, value)) {
      apply(mapForEach, value, [function (item, key) { put(list, [key, item]); }]);
      return list;
    }
    if (is(setSize, value)) {
      apply(setForEach, value, [function (item) { put(list, item); }]);
      return list;
    }
    if (is(valueOfString, value) || is(valueOfNumber, value) || is(valueOfBoolean, value)) return {};
    return value;
  };

  return [
    Object.prototype,
    function (milliseconds) { return new DateOfHost(milliseconds); },
    plain,
    function (text) { return apply(toWellFormed, text, []); },
    0, // chance: the host's number for this call
    [], // console
    // Only of what readers of JSON take for a number: the digits of a million bits keep the engine busy for seconds.
    function (integer) { return -WIDEST < integer && integer < WIDEST ? "" + integer : undefined; },
    void 0, void 0, void 0, void 0, void 0, void 0, // the codec's functions
  ];
})();
