// The byte table is in device.toml; the C++ side is examples/mbed-node/payload.h.

var PORT = 15;

function uint16(bytes, at) {
  return (bytes[at] << 8) | bytes[at + 1];
}

function decodeUplink(input) {
  var bytes = input.bytes;
  if (bytes.length !== 8) return { errors: ["expected 8 bytes, got " + bytes.length] };
  var raw = uint16(bytes, 0);
  return {
    data: {
      temperature: raw === 0x8000 ? null : (raw > 0x7fff ? raw - 0x10000 : raw) / 100,
      humidity: bytes[2] === 255 ? null : bytes[2] / 2,
      battery: uint16(bytes, 3) / 1000,
      led: (bytes[5] & 1) === 1,
      interval: uint16(bytes, 6),
    },
  };
}

function normalizeUplink(input) {
  var measurement = { air: {}, battery: input.data.battery };
  if (input.data.temperature !== null) measurement.air.temperature = input.data.temperature;
  if (input.data.humidity !== null) measurement.air.relativeHumidity = input.data.humidity;
  return { data: measurement };
}

function encodeDownlink(input) {
  var led = input.data.led;
  var interval = input.data.interval;
  var bytes = [];
  if (led !== undefined) {
    if (typeof led !== "boolean") return { errors: ["led must be true or false"] };
    bytes.push(1, led ? 1 : 0);
  }
  if (interval !== undefined) {
    if (!Number.isInteger(interval) || interval < 10 || interval > 65535) {
      return { errors: ["interval must be a whole number from 10 to 65535 (seconds)"] };
    }
    bytes.push(2, interval >> 8, interval & 255);
  }
  if (bytes.length === 0) return { errors: ["expected led, interval or both"] };
  return { bytes: bytes, fPort: PORT };
}

function decodeDownlink(input) {
  var bytes = input.bytes;
  var data = {};
  for (var at = 0; at < bytes.length; ) {
    if (bytes[at] === 1 && bytes[at + 1] <= 1) {
      data.led = bytes[at + 1] === 1;
      at += 2;
    } else if (bytes[at] === 2 && at + 2 < bytes.length) {
      data.interval = uint16(bytes, at + 1);
      at += 3;
    } else {
      return { errors: ["no command at byte " + at] };
    }
  }
  return { data: data };
}
