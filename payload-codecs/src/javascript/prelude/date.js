// Makes Date's local time UTC, as it is on The Things Stack, whatever the machine's own zone is.
(function () {
  "use strict";
  var Native = Date;
  var apply = Reflect.apply;
  var construct = Reflect.construct;
  var UTC = Date.UTC;
  var parse = Date.parse;
  var test = RegExp.prototype.test;
  var prototype = Date.prototype;
  var getTime = prototype.getTime;

  ["Date", "Day", "FullYear", "Hours", "Milliseconds", "Minutes", "Month", "Seconds"].forEach(function (part) {
    alias("get" + part, prototype["getUTC" + part]);
    if (part !== "Day") alias("set" + part, prototype["setUTC" + part]);
  });

  var getYear = prototype.getUTCFullYear;
  var setYear = prototype.setUTCFullYear;
  var getMonth = prototype.getUTCMonth;
  var getDay = prototype.getUTCDay;
  var getDate = prototype.getUTCDate;
  var getHours = prototype.getUTCHours;
  var getMinutes = prototype.getUTCMinutes;
  var getSeconds = prototype.getUTCSeconds;

  method("getTimezoneOffset", function () { return 0 * apply(getTime, this, []); });
  method("getYear", function () { return apply(getYear, this, []) - 1900; });
  method("setYear", function (year) {
    var whole = +year < 0 ? -((-year) | 0) : (+year) | 0;
    return apply(setYear, this, [whole >= 0 && whole <= 99 ? 1900 + whole : +year]);
  });

  var days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  var months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

  function day(date) {
    var year = apply(getYear, date, []);
    var digits = year < 0 ? "-" + pad(-year, 6) : pad(year, 4);
    return days[apply(getDay, date, [])] + " " + months[apply(getMonth, date, [])] + " " +
      pad(apply(getDate, date, []), 2) + " " + digits;
  }

  function time(date) {
    return pad(apply(getHours, date, []), 2) + ":" + pad(apply(getMinutes, date, []), 2) + ":" +
      pad(apply(getSeconds, date, []), 2) + " GMT+0000 (UTC)";
  }

  function localDay(date) {
    return pad(apply(getMonth, date, []) + 1, 2) + "/" + pad(apply(getDate, date, []), 2) + "/" +
      pad(apply(getYear, date, []), 4);
  }

  function localTime(date) {
    var hours = apply(getHours, date, []);
    return pad((hours + 11) % 12 + 1, 2) + ":" + pad(apply(getMinutes, date, []), 2) + ":" +
      pad(apply(getSeconds, date, []), 2) + (hours < 12 ? " AM" : " PM");
  }

  text("toString", function (date) { return day(date) + " " + time(date); });
  text("toDateString", day);
  text("toTimeString", time);
  text("toLocaleString", function (date) { return localDay(date) + ", " + localTime(date); });
  text("toLocaleDateString", localDay);
  text("toLocaleTimeString", localTime);

  // An offset stands behind a time: in 12-31-2020 there is none.
  var zoned = /\dZ|:\d\d\S*\s*[+-]\d\d:?\d\d|\b(?:Z|GMT|UTC|UT|[ECMP][SD]T)\b|GMT[+-]/i;

  // What names no zone is UTC. QuickJS takes it for local time unless it is told, in the form that fits the text's.
  function instant(text) {
    if (apply(test, zoned, [text])) return parse(text);
    var time = parse(text + "Z");
    if (time !== time) time = parse(text + " UTC");
    return time === time ? time : parse(text);
  }

  function isDate(value) {
    try {
      apply(getTime, value, []);
      return true;
    } catch (noDate) {
      return false;
    }
  }

  var UtcDate = function Date(year, month, day, hours, minutes, seconds, milliseconds) {
    if (new.target === undefined) return apply(prototype.toString, new Native(), []);
    var values = arguments;
    if (values.length > 1) values = [apply(UTC, undefined, values)];
    else if (typeof year === "string") values = [instant(year)];
    else if (isDate(year)) values = [apply(getTime, year, [])];
    return construct(Native, values, new.target);
  };
  Object.defineProperty(UtcDate, "prototype", { value: prototype, writable: false });
  Object.defineProperty(prototype, "constructor", { value: UtcDate });
  own(UtcDate, "now", Date.now);
  own(UtcDate, "UTC", UTC);
  own(UtcDate, "parse", function parse(text) { return instant("" + text); });
  own(globalThis, "Date", UtcDate);

  function text(name, write) {
    method(name, function () {
      var time = apply(getTime, this, []);
      return time === time ? write(this) : "Invalid Date";
    });
  }

  function pad(number, digits) {
    var text = "" + number;
    while (text.length < digits) text = "0" + text;
    return text;
  }

  function alias(name, existing) {
    own(prototype, name, existing);
  }

  function method(name, body) {
    Object.defineProperty(body, "name", { value: name });
    own(prototype, name, body);
  }

  function own(object, name, value) {
    Object.defineProperty(object, name, { value: value, configurable: true, enumerable: false, writable: true });
  }
})
