// Our own reading of the payload description named in device.toml.

var BATTERY_STATES = ["ultra low", "low", "ok", "good"];
var NOT_CONNECTED = 0x7fff;

function uint16(bytes, at) {
  return (bytes[at] << 8) | bytes[at + 1];
}

function int16(bytes, at) {
  return (uint16(bytes, at) << 16) >> 16;
}

function uint32(bytes, at) {
  return uint16(bytes, at) * 65536 + uint16(bytes, at + 2);
}

function isoTime(seconds) {
  return new Date(seconds * 1000).toISOString();
}

function readClimate(bytes, at, data) {
  data.temperature = int16(bytes, at) / 100;
  // The upper four bits of the humidity carry the battery's state in the layout with a time.
  data.humidity = (uint16(bytes, at + 2) & 0x0fff) / 10;
}

function readProbeTemperature(bytes, at, data) {
  var raw = int16(bytes, at);
  if (raw === NOT_CONNECTED) data.probe = "not connected";
  else data.probe_temperature = raw / 100;
}

// What the four bytes of the probe mean, by its kind; false for a kind that is not known.
function readProbe(kind, bytes, data) {
  switch (kind) {
    case 0: return true;
    case 1:
    case 2: data.probe = "temperature"; readProbeTemperature(bytes, 7, data); return true;
    case 4: data.probe = "interrupt"; data.input = bytes[7] !== 0; data.triggered = bytes[8] !== 0; return true;
    case 5: data.probe = "illuminance"; data.illuminance = uint16(bytes, 7); return true;
    case 6: data.probe = "voltage"; data.voltage = uint16(bytes, 7) / 1000; return true;
    case 7: data.probe = "counter"; data.count = uint16(bytes, 7); return true;
    case 8: data.probe = "counter"; data.count = uint32(bytes, 7); return true;
    default: return false;
  }
}

function readMeasurement(bytes) {
  var data = {};
  var warnings = [];
  var kind = bytes[6] & 0x3f;
  if (kind === 9) {
    data.probe = "temperature";
    readProbeTemperature(bytes, 0, data);
    readClimate(bytes, 2, data);
    data.battery_state = BATTERY_STATES[bytes[4] >> 6];
    data.time = isoTime(uint32(bytes, 7));
    return { data: data, warnings: warnings };
  }
  data.battery = (uint16(bytes, 0) & 0x3fff) / 1000;
  data.battery_state = BATTERY_STATES[bytes[0] >> 6];
  readClimate(bytes, 2, data);
  if (bytes[6] & 0x80) data.probe = "not connected";
  else if (!readProbe(kind, bytes, data)) warnings.push("probe of kind " + kind + " is not known");
  return { data: data, warnings: warnings };
}

// The answer to a datalog poll: one or more entries of 11 bytes, each with its time.
function readHistory(bytes) {
  var history = [];
  for (var at = 0; at + 11 <= bytes.length; at += 11) {
    var entry = { time: isoTime(uint32(bytes, at + 7)) };
    readProbeTemperature(bytes, at, entry);
    readClimate(bytes, at + 2, entry);
    history.push(entry);
  }
  return { data: { history: history } };
}

function decodeUplink(input) {
  var bytes = input.bytes;
  if (input.fPort !== 2) return { errors: ["port " + input.fPort + " carries no measurement"] };
  if (bytes.length < 11) return { errors: ["expected 11 bytes, got " + bytes.length] };
  return bytes[6] & 0x40 ? readHistory(bytes) : readMeasurement(bytes);
}

function normalizeUplink(input) {
  if (input.data.history) return { data: [] };
  var measurement = { air: { temperature: input.data.temperature, relativeHumidity: input.data.humidity } };
  if (input.data.battery !== undefined) measurement.battery = input.data.battery;
  return { data: measurement };
}

function encodeDownlink(input) {
  var interval = input.data.interval;
  if (!Number.isInteger(interval) || interval < 30 || interval > 0xffffff) {
    return { errors: ["interval must be a whole number from 30 to 16777215 (seconds)"] };
  }
  return { bytes: [0x01, interval >> 16, (interval >> 8) & 255, interval & 255], fPort: 2 };
}

function decodeDownlink(input) {
  var bytes = input.bytes;
  if (bytes.length !== 4 || bytes[0] !== 0x01) return { errors: ["only the reporting interval is known"] };
  return { data: { interval: uint32([0].concat(bytes.slice(1)), 0) } };
}
