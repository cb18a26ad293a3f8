// Our own reading of the payload description named in device.toml: type, big-endian value.

function int8(bytes, at) {
  return (bytes[at] << 24) >> 24;
}

function uint16(bytes, at) {
  return (bytes[at] << 8) | bytes[at + 1];
}

function int16(bytes, at) {
  return (uint16(bytes, at) << 16) >> 16;
}

function uint32(bytes, at) {
  return uint16(bytes, at) * 65536 + uint16(bytes, at + 2);
}

function int24(bytes, at) {
  return (((bytes[at] << 16) | uint16(bytes, at + 1)) << 8) >> 8;
}

// Reads the value of a type into `data` and returns its size in bytes, or 0 for a type that is not known.
function readItem(type, bytes, at, data) {
  switch (type) {
    case 0x01: data.temperature = int16(bytes, at) / 10; return 2;
    case 0x02: data.humidity = bytes[at]; return 1;
    case 0x03:
      data.acceleration = { x: int8(bytes, at) / 63, y: int8(bytes, at + 1) / 63, z: int8(bytes, at + 2) / 63 };
      return 3;
    case 0x04: data.illuminance = uint16(bytes, at); return 2;
    case 0x05: data.motion = bytes[at]; return 1;
    case 0x06: data.co2 = uint16(bytes, at); return 2;
    case 0x07: data.battery = uint16(bytes, at) / 1000; return 2;
    case 0x08: data.analog_1 = uint16(bytes, at) / 1000; return 2;
    case 0x09:
      data.latitude = int24(bytes, at) / 10000;
      data.longitude = int24(bytes, at + 3) / 10000;
      return 6;
    case 0x0a: data.pulses_1 = uint16(bytes, at); return 2;
    case 0x0b: data.pulses_1_total = uint32(bytes, at); return 4;
    case 0x0c: data.external_temperature = int16(bytes, at) / 10; return 2;
    case 0x0d: data.digital_1 = bytes[at]; return 1;
    case 0x0e: data.distance = uint16(bytes, at); return 2;
    case 0x0f: data.vibration = bytes[at]; return 1;
    case 0x10:
      data.infrared_internal_temperature = int16(bytes, at) / 10;
      data.infrared_external_temperature = int16(bytes, at + 2) / 10;
      return 4;
    case 0x11: data.occupancy = bytes[at]; return 1;
    case 0x12: data.water_leak = bytes[at]; return 1;
    case 0x14: data.pressure = uint32(bytes, at) / 1000; return 4;
    case 0x15:
      data.sound_peak = bytes[at];
      data.sound_average = bytes[at + 1];
      return 2;
    case 0x16: data.pulses_2 = uint16(bytes, at); return 2;
    case 0x17: data.pulses_2_total = uint32(bytes, at); return 4;
    case 0x18: data.analog_2 = uint16(bytes, at) / 1000; return 2;
    case 0x19: data.external_temperature_2 = int16(bytes, at) / 10; return 2;
    case 0x1a: data.digital_2 = bytes[at]; return 1;
    default: return 0;
  }
}

function place(bytes, at) {
  return "0x" + (bytes[at] + 256).toString(16).slice(1) + " at byte " + at;
}

function decodeUplink(input) {
  var bytes = input.bytes;
  var data = {};
  for (var at = 0; at < bytes.length; ) {
    var size = readItem(bytes[at], bytes, at + 1, data);
    // Types carry no length of their own, so what follows an unknown one cannot be read.
    if (size === 0) return { data: data, warnings: ["type " + place(bytes, at) + " is not known, the rest is skipped"] };
    if (at + 1 + size > bytes.length) return { errors: ["type " + place(bytes, at) + " is cut short"] };
    at += 1 + size;
  }
  return { data: data };
}

function normalizeUplink(input) {
  var data = input.data;
  var air = {};
  if (data.temperature !== undefined) air.temperature = data.temperature;
  if (data.humidity !== undefined) air.relativeHumidity = data.humidity;
  if (data.illuminance !== undefined) air.lightIntensity = data.illuminance;
  if (data.co2 !== undefined) air.co2 = data.co2;
  if (data.pressure !== undefined) air.pressure = data.pressure;
  var measurement = { air: air };
  if (data.motion !== undefined) measurement.action = { motion: { detected: data.motion > 0, count: data.motion } };
  if (data.battery !== undefined) measurement.battery = data.battery;
  return { data: measurement };
}

function encodeDownlink(input) {
  var interval = input.data.interval;
  if (!Number.isInteger(interval) || interval < 10 || interval > 86400) {
    return { errors: ["interval must be a whole number from 10 to 86400 (seconds)"] };
  }
  // 3E: settings follow; 5 bytes of them; 14: the time base, in seconds.
  return { bytes: [0x3e, 5, 0x14, 0, interval >> 16, (interval >> 8) & 255, interval & 255], fPort: 6 };
}

function decodeDownlink(input) {
  var bytes = input.bytes;
  if (bytes.length !== 7 || bytes[0] !== 0x3e || bytes[2] !== 0x14) return { errors: ["only the time base is known"] };
  return { data: { interval: uint32(bytes, 3) } };
}
