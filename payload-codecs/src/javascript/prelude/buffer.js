// The part of Node's Buffer that payload codecs use. Loaded for scripts that name it, after `text.js`.
(function () {
  "use strict";
  var decoder = new TextDecoder();
  var fail = function (encoding) { throw new TypeError("Unknown encoding: " + encoding); };

  var fromText = {
    hex: function (text) {
      var bytes = [];
      for (var i = 0; i + 1 < text.length; i += 2) {
        var byte = /^[0-9a-f]{2}$/i.test(text.substr(i, 2)) ? parseInt(text.substr(i, 2), 16) : -1;
        if (byte < 0) break;
        bytes.push(byte);
      }
      return bytes;
    },
    base64: function (text) {
      return fromText.latin1(atob(text.replace(/-/g, "+").replace(/_/g, "/").replace(/[^A-Za-z0-9+/]/g, "")));
    },
    latin1: function (text) { return Array.from(text, function (one) { return one.charCodeAt(0) & 255; }); },
    utf8: function (text) { return fromText.latin1(unescape(encodeURIComponent(text.toWellFormed()))); },
  };
  var toText = {
    hex: function (bytes) { return each(bytes, function (byte) { return (byte < 16 ? "0" : "") + byte.toString(16); }); },
    base64: function (bytes) { return btoa(toText.latin1(bytes)); },
    latin1: function (bytes) { return each(bytes, function (byte) { return String.fromCharCode(byte); }); },
    ascii: function (bytes) { return each(bytes, function (byte) { return String.fromCharCode(byte & 127); }); },
    utf8: function (bytes) { return decoder.decode(bytes); },
  };
  fromText.binary = fromText.ascii = fromText.latin1;
  toText.binary = toText.latin1;
  fromText["utf-8"] = fromText.utf8;
  toText["utf-8"] = toText.utf8;
  fromText.base64url = fromText.base64;

  function each(bytes, write) {
    var text = "";
    for (var i = 0; i < bytes.length; i++) text += write(bytes[i]);
    return text;
  }

  function coder(table, encoding) {
    var name = encoding === undefined ? "utf8" : String(encoding).toLowerCase();
    return Object.hasOwn(table, name) ? table[name] : fail(encoding);
  }

  class Buffer extends Uint8Array {
    static from(value, encoding, length) {
      if (typeof value === "string") value = coder(fromText, encoding)(value);
      if (value instanceof ArrayBuffer) return new Buffer(value, encoding, length);
      var buffer = new Buffer(value.length);
      for (var i = 0; i < value.length; i++) buffer[i] = value[i];
      return buffer;
    }
    static alloc(size, fill) { return fill === undefined ? new Buffer(size) : new Buffer(size).fill(fill); }
    static allocUnsafe(size) { return new Buffer(size); }
    static isBuffer(value) { return value instanceof Buffer; }
    static byteLength(text, encoding) { return Buffer.from(text, encoding).length; }
    static concat(list) { return Buffer.from([].concat.apply([], list.map(function (one) { return Array.from(one); }))); }
    toString(encoding, start, end) { return coder(toText, encoding)(this.subarray(start, end)); }
    toJSON() { return { type: "Buffer", data: Array.from(this) }; }
    slice(start, end) { return this.subarray(start, end); }
    equals(other) { return this.length === other.length && this.every(function (byte, i) { return byte === other[i]; }); }
    copy(target, at, start, end) { var part = this.subarray(start, end); target.set(part, at); return part.length; }
    write(text, at, length, encoding) {
      var bytes = coder(fromText, encoding)(text).slice(0, Math.min(length === undefined ? Infinity : length, this.length - (at | 0)));
      this.set(bytes, at | 0);
      return bytes.length;
    }
    readUInt8(at) { return view(this).getUint8(at | 0); }
    readInt8(at) { return view(this).getInt8(at | 0); }
    writeUInt8(value, at) { view(this).setUint8(at | 0, value); return (at | 0) + 1; }
    writeInt8(value, at) { view(this).setInt8(at | 0, value); return (at | 0) + 1; }
    readUIntBE(at, size) { return integer(this, at, size, 1); }
    readUIntLE(at, size) { return integer(this, at, size, -1); }
    readIntBE(at, size) { return signed(this.readUIntBE(at, size), size); }
    readIntLE(at, size) { return signed(this.readUIntLE(at, size), size); }
    swap16() { for (var i = 0; i + 1 < this.length; i += 2) this.subarray(i, i + 2).reverse(); return this; }
  }

  function view(buffer) { return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength); }

  function integer(buffer, at, size, step) {
    if (at < 0 || at + size > buffer.length) throw new RangeError("out of bounds");
    var value = 0;
    for (var i = 0; i < size; i++) value = value * 256 + buffer[step > 0 ? at + i : at + size - 1 - i];
    return value;
  }

  function signed(value, size) {
    var limit = Math.pow(2, 8 * size - 1);
    return value < limit ? value : value - 2 * limit;
  }

  [["UInt16", "Uint16", 2], ["Int16", "Int16", 2], ["UInt32", "Uint32", 4], ["Int32", "Int32", 4],
   ["Float", "Float32", 4], ["Double", "Float64", 8], ["BigUInt64", "BigUint64", 8], ["BigInt64", "BigInt64", 8],
  ].forEach(function (type) {
    [["LE", true], ["BE", false]].forEach(function (order) {
      method("read" + type[0] + order[0], function (at) { return view(this)["get" + type[1]](at | 0, order[1]); });
      method("write" + type[0] + order[0], function (value, at) {
        view(this)["set" + type[1]](at | 0, value, order[1]);
        return (at | 0) + type[2];
      });
    });
  });

  function method(name, body) {
    Object.defineProperty(Buffer.prototype, name, { value: body, configurable: true, writable: true });
  }

  // Node spells these both ways: readUInt8 and readUint8.
  Object.getOwnPropertyNames(Buffer.prototype).forEach(function (name) {
    if (name.includes("UInt")) method(name.replace("UInt", "Uint"), Buffer.prototype[name]);
  });

  Object.defineProperty(globalThis, "Buffer", { value: Buffer, configurable: true, enumerable: false, writable: true });
})
