// Math.random from a number that the host gives for each call: the engine's own would repeat itself with its memory.
(function (slots) {
  "use strict";
  var SEED = 4;
  var seen, high, low;

  // Marsaglia's xorshift, on 32 bits.
  function next(state) {
    state ^= state << 13;
    state ^= state >>> 17;
    return state ^ (state << 5);
  }

  Object.defineProperty(Math, "random", {
    value: function random() {
      var seed = slots[SEED];
      if (seed !== seen) {
        seen = seed;
        high = (seed / 4294967296) | 0 || 1;
        low = seed | 0 || 2;
      }
      high = next(high);
      low = next(low);
      return ((high >>> 5) * 67108864 + (low >>> 6)) / 9007199254740992;
    },
    configurable: true, enumerable: false, writable: true,
  });
})
