// Our own reading of the payload description named in device.toml: channel, type, little-endian value.

function uint16(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8);
}

function int16(bytes, at) {
  return (uint16(bytes, at) << 16) >> 16;
}

function uint32(bytes, at) {
  return uint16(bytes, at) + uint16(bytes, at + 2) * 65536;
}

function hex(bytes, at, length) {
  return bytes
    .slice(at, at + length)
    .map(function (byte) { return (byte + 256).toString(16).slice(1); })
    .join("");
}

function storedReading(bytes, at) {
  return {
    time: new Date(uint32(bytes, at) * 1000).toISOString(),
    temperature: int16(bytes, at + 4) / 10,
    humidity: bytes[at + 6] / 2,
  };
}

// Reads the value of a channel and type into `data` and returns its size in bytes, or 0 for one that is not known.
function readItem(channelAndType, bytes, at, data) {
  switch (channelAndType) {
    case 0x0175: data.battery = bytes[at]; return 1;
    case 0x0367: data.temperature = int16(bytes, at) / 10; return 2;
    case 0x0468: data.humidity = bytes[at] / 2; return 1;
    case 0x20ce:
      if (at + 8 <= bytes.length) data.history = (data.history || []).concat(storedReading(bytes, at));
      return 8;
    case 0xff01: data.protocol_version = bytes[at]; return 1;
    case 0xff09: data.hardware_version = bytes[at] + "." + (bytes[at + 1] >> 4); return 2;
    case 0xff0a: data.firmware_version = bytes[at] + "." + hex(bytes, at + 1, 1); return 2;
    case 0xff0b: data.powered_on = true; return 1;
    case 0xff0f: data.lorawan_class = "ABC"[bytes[at]]; return 1;
    case 0xff16: data.serial_number = hex(bytes, at, 8); return 8;
    default: return 0;
  }
}

function decodeUplink(input) {
  var bytes = input.bytes;
  var data = {};
  for (var at = 0; at < bytes.length; ) {
    var size = readItem((bytes[at] << 8) | bytes[at + 1], bytes, at + 2, data);
    // Items carry no length of their own, so what follows an unknown one cannot be read.
    if (size === 0) return { data: data, warnings: ["item " + place(bytes, at) + " is not known, the rest is skipped"] };
    if (at + 2 + size > bytes.length) return { errors: ["item " + place(bytes, at) + " is cut short"] };
    at += 2 + size;
  }
  return { data: data };
}

function place(bytes, at) {
  return hex(bytes, at, 2) + " at byte " + at;
}

function normalizeUplink(input) {
  var air = {};
  if (input.data.temperature !== undefined) air.temperature = input.data.temperature;
  if (input.data.humidity !== undefined) air.relativeHumidity = input.data.humidity;
  return { data: Object.keys(air).length ? [{ air: air }] : [] };
}

function encodeDownlink(input) {
  var interval = input.data.interval;
  var bytes = [];
  if (interval !== undefined) {
    if (!Number.isInteger(interval) || interval < 60 || interval > 64800) {
      return { errors: ["interval must be a whole number from 60 to 64800 (seconds)"] };
    }
    bytes.push(0xff, 0x03, interval & 255, interval >> 8);
  }
  if (input.data.reboot) bytes.push(0xff, 0x10, 0xff);
  if (bytes.length === 0) return { errors: ["expected interval or reboot"] };
  return { bytes: bytes, fPort: 85 };
}

function decodeDownlink(input) {
  var bytes = input.bytes;
  var data = {};
  for (var at = 0; at < bytes.length; ) {
    var key = hex(bytes, at, 2);
    if (key === "ff03" && at + 4 <= bytes.length) {
      data.interval = uint16(bytes, at + 2);
      at += 4;
    } else if (key === "ff10") {
      data.reboot = true;
      at += 3;
    } else {
      return { errors: ["no known command at byte " + at] };
    }
  }
  return { data: data };
}
