// TextEncoder and TextDecoder for UTF-8 (and, to decode, the Latin alphabet). Loaded for scripts that name them.
(function () {
  "use strict";
  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text) {
      var bytes = unescape(encodeURIComponent(String(text === undefined ? "" : text).toWellFormed()));
      return Uint8Array.from(bytes, function (one) { return one.charCodeAt(0); });
    }
  }

  class TextDecoder {
    #latin;
    #fatal;
    constructor(label, options) {
      var name = String(label === undefined ? "utf-8" : label).toLowerCase();
      this.#latin = /^(latin1|ascii|us-ascii|iso-8859-1|windows-1252)$/.test(name);
      if (!this.#latin && !/^utf-?8$/.test(name)) throw new RangeError("Unknown encoding: " + label);
      this.#fatal = !!(options && options.fatal);
    }
    get encoding() { return this.#latin ? "windows-1252" : "utf-8"; }
    decode(source) {
      if (source === undefined) return "";
      var bytes = source instanceof ArrayBuffer ? new Uint8Array(source)
        : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
      if (this.#latin) return Array.from(bytes, function (byte) { return String.fromCharCode(byte); }).join("");
      return utf8(bytes, this.#fatal).replace(/^\ufeff/, "");
    }
  }

  function utf8(bytes, fatal) {
    var text = "";
    for (var i = 0; i < bytes.length;) {
      var first = bytes[i];
      var length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
      var code = first & (0xff >> (length + (length > 1 ? 1 : 0)));
      var taken = 1;
      while (taken < length && (bytes[i + taken] & 0xc0) === 0x80 && starts(code, taken, bytes[i + taken], length)) {
        code = (code << 6) | (bytes[i + taken++] & 0x3f);
      }
      if (taken !== length && fatal) throw new TypeError("The encoded data was not valid utf-8");
      text += taken === length ? String.fromCodePoint(code) : "\ufffd";
      i += taken;
    }
    return text;
  }

  // Whether the second byte leaves the code point in the range that its length is for, and no surrogate.
  function starts(code, taken, byte, length) {
    if (taken > 1) return true;
    if (length === 3) return code === 0 ? byte >= 0xa0 : code !== 13 || byte < 0xa0;
    if (length === 4) return code === 0 ? byte >= 0x90 : code !== 4 || byte < 0x90;
    return true;
  }

  [TextEncoder, TextDecoder].forEach(function (coder) {
    Object.defineProperty(globalThis, coder.name, { value: coder, configurable: true, enumerable: false, writable: true });
  });
})
