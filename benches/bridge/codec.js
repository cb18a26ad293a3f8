// Counter (4), temperature in 0.01 °C (2), humidity in 0.5 % (1), battery in mV (2), flags (1), number of samples (1), samples.
function decodeUplink(input) {
  var bytes = input.bytes;
  if (bytes.length < 11 || bytes.length !== 11 + bytes[10]) return { errors: ["expected 11 bytes and the samples"] };
  var raw = (bytes[4] << 8) | bytes[5];
  return {
    data: {
      counter: ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0,
      temperature: (raw > 0x7fff ? raw - 0x10000 : raw) / 100,
      humidity: bytes[6] / 2,
      battery: ((bytes[7] << 8) | bytes[8]) / 1000,
      motion: (bytes[9] & 1) === 1,
      samples: bytes.slice(11).map(function (sample) { return sample / 10; }),
    },
  };
}
