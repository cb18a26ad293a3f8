// A service that makes up its readings, for work on the page without Rust: `npm run dev -- [--devices N] [--port P]`.
// It builds the page anew for each load. Whatever it does not know it answers with 404, as the real one.
import { createHash } from "node:crypto";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

const argument = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? Number(process.argv[at + 1]) : otherwise;
};
const here = join(import.meta.dirname, "..");
const START = Date.now();
const iso = (ms) => new Date(ms).toISOString();
let last = START * 1000;

const sensor = (name, unit, device_class, more = {}) => ({ name, unit, device_class, kind: "sensor", state_class: "measurement", diagnostic: false, friendly_name: null, ...more });
const KINDS = {
  room: {
    codec: "mbed/led-and-sensors",
    fields: [
      sensor("temperature", "°C", "temperature", { friendly_name: "Temperature" }),
      sensor("humidity", "%", "humidity", { friendly_name: "Humidity" }),
      sensor("battery", "V", "voltage", { friendly_name: "Battery voltage", diagnostic: true }),
      { ...sensor("led", null, "light", { friendly_name: "LED" }), kind: "binary_sensor" },
      sensor("mode", null, null),
    ],
    commands: [{ f_port: 15, field: "led", friendly_name: "LED", value: { type: "boolean" } }, { f_port: 15, field: "interval", friendly_name: "Reporting interval", value: { type: "number", min: 10, max: 65535, step: 1, unit: "s" } }],
    at: (ms, i) => ({ temperature: +(20 + i % 5 + 3 * Math.sin(ms / 1.4e7) + Math.sin(ms / 7e5 + i)).toFixed(2), humidity: +(45 + 9 * Math.sin(ms / 2e7 + i)).toFixed(1), battery: 3.3, led: Math.sin(ms / 9e6) > 0.4, mode: Math.sin(ms / 2e7) > 0 ? "comfort" : "eco" }),
  },
  soil: {
    codec: "generic/cayenne-lpp",
    fields: [sensor("temperature_*", "°C", "temperature"), sensor("relative_humidity_*", "%", "humidity"), sensor("analog_in_*", null, null)],
    commands: [],
    at: (ms, i) => ({ analog_in_4: +(3.6 - (ms - START) / 4e10).toFixed(2), relative_humidity_2: +(70 + 8 * Math.sin(ms / 3e7)).toFixed(1), temperature_1: +(11 + 4 * Math.sin(ms / 1.4e7 + i)).toFixed(1), temperature_5: +(9 + 2 * Math.sin(ms / 1.4e7 + i)).toFixed(1) }),
  },
  tracker: {
    codec: "generic/cayenne-lpp",
    fields: [{ ...sensor("gps_*", null, null), kind: "tracker" }, sensor("analog_in_*", null, null)],
    commands: [],
    at: (ms) => ({ analog_in_2: 3.7, gps_1: { altitude: 1.8, latitude: 52.3732 + 0.004 * Math.sin(ms / 3e6), longitude: 4.8921 + 0.006 * Math.sin(ms / 4.1e6) } }),
  },
};
const NAMES = ["living-room", "greenhouse", "tracker", "cellar/freezer", "garden/soil-1", "garden/soil-2", "attic", "letterbox", "bike"];
const PICK = ["room", "soil", "tracker", "room", "soil", "soil", "room", "room", "tracker"];
const devices = Array.from({ length: argument("devices", 9) }, (_, i) => ({
  name: NAMES[i] ?? `field/node-${i}`, kind: PICK[i] ?? ["room", "soil"][i % 2], i,
  step: 60_000 * (5 + (i % 4) * 5), online: i % 9 !== 6, battery: i % 3 ? undefined : 90 - (i % 80), f_cnt: 1000 + i,
}));

const info = (d) => ({
  name: d.name, application: "garden", device_id: `eui-${d.i}`, dev_eui: `70B3D57ED000${String(d.i).padStart(4, "0")}`, join_eui: "70B3D57ED0000000", dev_addr: "272C8647",
  version_ids: d.kind === "soil" ? { brand_id: "dragino", model_id: "lse01", hardware_version: "1.1", firmware_version: "1.1.4", band_id: "EU_863_870" } : undefined,
  codec: { name: KINDS[d.kind].codec, chosen_by: "configuration" }, fields: KINDS[d.kind].fields, commands: KINDS[d.kind].commands,
  last_seen: iso(seen(d)), availability: d.online ? "online" : "offline", interval_s: d.step / 1000,
});
const seen = (d) => d.told ?? START - (d.online ? (d.i * 37_000) % d.step : 9e6);
const link = (d) => ({ rssi: -70 - (d.i * 13) % 50, snr: 9 - (d.i * 7) % 24, spreading_factor: 7 + (d.i % 6), gateways: 1 + (d.i % 3), best_gateway: "gw-roof", f_cnt: d.f_cnt, lost_frames: d.i % 4, airtime_today: 1.3 + (d.i % 7) * 2.1 });
const state = (d) => ({ ...KINDS[d.kind].at(seen(d), d.i), battery_percentage: d.battery, last_seen: iso(seen(d)), link: link(d) });
const GATEWAYS = [
  { id: "gw-roof", eui: "AA555A0000000000", location: { latitude: 52.379, longitude: 4.9, altitude: 21 } },
  { id: "gw-school", eui: "AA555A0000000001", location: { latitude: 52.361, longitude: 4.87, altitude: 12 } },
  { id: "gw-unknown" },
];
const uplink = (d, ms) => ({
  id: `garden/eui-${d.i}/s/${ms}`, device: d.name, application: "garden", device_id: `eui-${d.i}`, at: iso(ms), f_port: 15, f_cnt: d.f_cnt, payload_hex: "081c5b0ce400003c08ff".slice(0, 16 + 2 * (d.i % 2)),
  fields: KINDS[d.kind].at(ms, d.i), codec: KINDS[d.kind].codec, confirmed: false, encrypted: false, simulated: false, backfilled: ms % 7 === 0, warnings: [],
  radio: { gateways: GATEWAYS.slice(0, 2).map((g, i) => ({ ...g, rssi: -80 - 12 * i - (ms / 1000) % 9, snr: 8 - 5 * i })), spreading_factor: 7 + (d.i % 6), bandwidth: 125000, frequency: 868300000, airtime: 0.0617 },
});

const SPANS = { h: 3.6e6, d: 8.64e7, m: 6e4 };
const time = (text, otherwise) => {
  const [, size, unit] = /^(\d+)([hdm])$/.exec(text ?? "") ?? [];
  return size ? Date.now() - size * SPANS[unit] : text ? Date.parse(text) : otherwise;
};
const flat = (of, path = "") => Object.entries(of).flatMap(([key, v]) => (v && typeof v === "object" ? flat(v, `${path}${key}.`) : [[path + key, v]]));
const times = (d, from, to, points) => {
  const step = Math.max(d.step, (to - from) / points);
  const out = [];
  for (let t = Math.ceil(from / step) * step; t <= Math.min(to, seen(d)); t += step) if (Math.floor(t / 2e8) % 3 || t > START - 1e8) out.push(t);
  return out;
};

function readings(d, q) {
  const [from, to, points] = [time(q.get("from"), Date.now() - 8.64e7), time(q.get("to"), Date.now()), Number(q.get("points") ?? 500)];
  const at = times(d, from, to, points);
  const sampled = (to - from) / points > d.step;
  const wanted = q.get("fields")?.split(",");
  const series = {};
  for (const [path, value] of flat({ ...KINDS[d.kind].at(START, d.i), link: link(d) })) {
    if (!(wanted?.includes(path) ?? typeof value === "number")) continue;
    const kind = { number: "number", boolean: "bool", string: "text" }[typeof value];
    const values = at.map((t) => Object.fromEntries(flat({ ...KINDS[d.kind].at(t, d.i), link: link(d) }))[path]);
    const keep = kind === "text" ? at.map((_, i) => i).filter((i) => values[i] !== values[i - 1]) : at.map((_, i) => i);
    series[path] = { kind, at: keep.map((i) => at[i]), value: keep.map((i) => values[i]) };
    if (sampled && kind === "number") Object.assign(series[path], { min: values.map((v) => v * 0.97), max: values.map((v) => v * 1.03) });
  }
  return { device: d.name, from: iso(from), to: iso(to), count: at.length, sampled, series };
}
function radio(d, q) {
  const [from, to] = [time(q.get("from"), Date.now() - 8.64e7), time(q.get("to"), Date.now())];
  const at = times(d, from, to, 300);
  const wave = (base, i) => at.map((t) => base + 6 * Math.sin(t / 5e6 + i) + ((t / d.step) % 3));
  return {
    gateways: Object.fromEntries(GATEWAYS.slice(0, 2).map((g, i) => [g.id, { at, rssi: wave(-85 - 15 * i, i), snr: wave(5 - 4 * i, i), count: at.length }])),
    spreading_factor: { at, value: at.map((t) => (Math.sin(t / 1e7) > 0.7 ? 9 : 7)) },
    lost: { at: at.filter((_, i) => i % 29 === 5), value: at.filter((_, i) => i % 29 === 5).map((t) => 1 + (t % 3)) },
    airtime: { at: [3, 2, 1, 0].map((n) => Math.floor(Date.now() / 8.64e7 - n) * 8.64e7), value: [12.2, 14.1, 28, 5.4] },
  };
}
const events = () => [
  { event: last - 1, at: iso(START - 6e4), kind: "bridge", type: "device_offline", device: "attic", application: "garden", device_id: "eui-6", silent_s: 5400 },
  { event: last - 2, at: iso(START - 3e6), kind: "bridge", type: "gap_repaired", id: 4, application: "garden", from: iso(START - 5e6), to: iso(START - 4e6), repaired: 12, source: "storage" },
  { event: last - 3, at: iso(START - 4e6), kind: "event", type: "lost_frames", device: "living-room", application: "garden", device_id: "eui-0", missing: 2, before_f_cnt: 993 },
  { event: last - 4, at: iso(START - 9e6), kind: "event", type: "codec_error", device: "greenhouse", application: "garden", device_id: "eui-1", error: "TypeError: cannot read property 'x' of undefined", line: 14, f_port: 2, payload_hex: "0102", codec: "own/thing" },
  { event: last - 5, at: iso(START - 5e7), kind: "bridge", type: "device_online", device: "living-room", application: "garden", device_id: "eui-0", silent_s: 7200 },
  { event: last - 6, at: iso(START - 5.6e7), kind: "bridge", type: "device_offline", device: "living-room", application: "garden", device_id: "eui-0", silent_s: 1800 },
];
const applications = [{ name: "garden", connected: true, last_message: iso(START), dropped: 0, degraded: [], gaps_open: 1, devices: 9, backlog: 4 }, { name: "workshop", connected: false, dropped: 0, devices: 0, backlog: 0, degraded: ["The API key is refused: make a new one in the console"], gaps_open: 0 }];

function answer(path, q) {
  const [, name, part] = /^devices\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
  if (name) {
    const d = devices.find((device) => device.name === decodeURIComponent(name));
    if (!d) return undefined;
    if (part === "readings") return readings(d, q);
    if (part === "radio") return radio(d, q);
    if (part === "uplinks") return { uplinks: times(d, START - 1e7, Date.now(), 500).reverse().slice(0, 20).map((t) => uplink(d, t)), next: null };
    return { ...info(d), state: state(d), usage: { day: iso(Date.now()).slice(0, 10), airtime_s: 24.2, airtime_limit_s: 30, downlinks: 11, downlinks_limit: 10 }, options: {}, codec_choice: { name: KINDS[d.kind].codec, source: "shipped", why: "configuration", others: [{ name: "dragino/lse01", source: "repository", why: "the network names the product", why_not: "`generic/cayenne-lpp` goes before" }] } };
  }
  switch (path) {
    case "session": return { needed: false, authenticated: true, password: false, edit_codecs: true, base_path: "/" };
    case "devices": return devices.map(info);
    case "states": return devices.map((d) => ({ device: d.name, application: "garden", device_id: `eui-${d.i}`, state: state(d), availability: { state: d.online ? "online" : "offline" }, pending: { queue: 0, fields: {} } }));
    case "applications": return { applications };
    case "gaps": return { gaps: [{ id: 5, application: "garden", from: iso(START - 9e5), to: iso(START - 6e5), state: "open", why: "the connection was lost" }, { id: 4, application: "garden", from: iso(START - 5e6), to: iso(START - 4e6), state: "repaired", why: "restart", repaired: 12 }] };
    case "downlinks": return { downlinks: [] };
    case "gateways": return { gateways: GATEWAYS.map((g, i) => ({ ...g, last_seen: iso(START - i * 5e6), uplinks: 5000 - 900 * i, devices: devices.slice(0, 4 - i).map((d) => d.name), best_rssi: -61 - i * 20, best_snr: 9.5 - i * 3 })) };
    case "events": return { events: events().filter((e) => q.get("device") === null || e.device === q.get("device")), since: iso(START - 30 * 24 * 3.6e6) };
    default: return undefined;
  }
}

const TYPES = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", html: "text/html" };
const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const send = (status, type, body) => response.writeHead(status, { "content-type": type, "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'" }).end(body);
  if (url.pathname.startsWith("/api/v1/")) {
    const found = answer(url.pathname.slice(8), url.searchParams);
    return found ? send(200, "application/json", JSON.stringify(found)) : send(404, "application/problem+json", JSON.stringify({ title: "Not Found", detail: `The mock knows no ${url.pathname}.`, hint: "the real service may" }));
  }
  const name = url.pathname === "/" ? "index.html" : url.pathname.slice(1);
  try {
    if (name === "index.html") await promisify(execFile)("node", [join(here, "build.mjs")]);
    send(200, TYPES[name.split(".").pop()] ?? "text/plain", await readFile(join(here, "dist", name)));
  } catch (error) {
    send(error.code === "ENOENT" ? 404 : 500, "text/plain", String(error.stderr ?? error));
  }
});

const sockets = new Set();
const frame = (text) => {
  const body = Buffer.from(text);
  const head = body.length < 126 ? [0x81, body.length] : body.length < 65536 ? [0x81, 126, body.length >> 8, body.length & 255] : [0x81, 127, 0, 0, 0, 0, ...new Uint8Array(new Uint32Array([body.length]).buffer).reverse()];
  return Buffer.concat([Buffer.from(head), body]);
};
server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.write(frame(JSON.stringify({ type: "hello", version: "0.1.0", event: last, oldest: START * 1000 + 1 })));
  sockets.add(socket);
  socket.on("data", (data) => (data[0] & 15) === 8 && socket.end());
  for (const event of ["close", "error"]) socket.on(event, () => sockets.delete(socket));
});
const tell = (kind, d, data) => {
  const body = frame(JSON.stringify({ event: ++last, kind, device: d.name, application: "garden", device_id: `eui-${d.i}`, at: iso(Date.now()), data }));
  sockets.forEach((socket) => socket.write(body));
};
setInterval(() => {
  const d = devices[Math.floor(Math.random() * devices.length)];
  d.told = Date.now();
  d.f_cnt += 1;
  if (!d.online) tell("availability", d, { state: "online" });
  d.online = true;
  tell("uplink", d, uplink(d, d.told));
  tell("state", d, state(d));
}, argument("every", 1500));
const port = argument("port", 8898);
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
