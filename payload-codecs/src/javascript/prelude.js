// Runs in a realm before the codec does, and keeps for the host what the codec may later overwrite.
// Its value is a list: [the prototype of plain objects, a maker of Dates, `plain`, `wellFormed`].
(function () {
  "use strict";
  var apply = Reflect.apply;
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

  // What stands for an object of a built-in class in JSON, by the rules of The Things Stack; other values as they are.
  var plain = function (value) {
    var list = [];
    if (apply(typedArrayTag, value, []) !== undefined) {
      for (var i = 0; i < value.length; i++) list[i] = value[i];
      return list;
    }
    if (is(getTime, value)) {
      var time = apply(getTime, value, []);
      return time === time ? apply(toISOString, value, []) : time;
    }
    if (is(mapSize, value)) {
      apply(mapForEach, value, [function (item, key) { list[list.length] = [key, item]; }]);
      return list;
    }
    if (is(setSize, value)) {
      apply(setForEach, value, [function (item) { list[list.length] = item; }]);
      return list;
    }
    if (is(valueOfString, value) || is(valueOfNumber, value) || is(valueOfBoolean, value)) return {};
    return value;
  };

  var silent = function () {};
  Object.defineProperty(globalThis, "console", {
    value: { debug: silent, error: silent, info: silent, log: silent, trace: silent, warn: silent },
    writable: true,
    configurable: true,
    enumerable: false,
  });

  // What shows up in an enumeration of the global object from here on is the codec's, to be removed after its call.
  Object.keys(globalThis).forEach(function (key) {
    Object.defineProperty(globalThis, key, { enumerable: false });
  });

  return [
    Object.prototype,
    function (milliseconds) { return new DateOfHost(milliseconds); },
    plain,
    function (text) { return apply(toWellFormed, text, []); },
  ];
})();
