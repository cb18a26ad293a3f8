// The devices, their values and their commands, over MQTT on a WebSocket.
// page address ? url=ws://localhost:9001 & base=ttn

const asked = new URLSearchParams(location.search);
const url = asked.get("url") ?? `ws://${location.hostname || "localhost"}:9001`;
const base = asked.get("base") ?? "ttn";
const known = new Map(); // the device's element, by the device's name
const client = mqtt.connect(url);

client.on("connect", () => {
  say(`Connected to ${url}`);
  client.subscribe(`${base}/bridge/devices`, { qos: 1 }); // retained: the list comes at once
});
client.on("close", () => say(`No connection to ${url}`));

client.on("message", (topic, payload) => {
  const message = JSON.parse(payload);
  if (topic === `${base}/bridge/devices`) return message.forEach(add);
  const device = topic.slice(base.length + 1);
  if (known.has(device)) return show(known.get(device), message);
  const steps = known.get(device.replace(/\/downlink\/state$/, ""));
  if (steps) steps.querySelector(".step").textContent = `${message.id}: ${message.state} ${message.reason ?? ""}`;
});

function add({ name, commands = [] }) {
  if (known.has(name)) return;
  const section = element("section", document.getElementById("devices"), { id: name });
  element("h2", section, { textContent: name });
  element("dl", section);
  commands.forEach((command) => section.append(form(name, command)));
  element("p", section, { className: "step" });
  known.set(name, section);
  client.subscribe([`${base}/${name}`, `${base}/${name}/downlink/state`], { qos: 1 });
}

// The state as it is now. What the network measured of the link is left to others.
function show(section, { link, normalized, ...fields }) {
  const list = section.querySelector("dl");
  list.replaceChildren();
  for (const [field, value] of Object.entries(fields)) {
    element("dt", list, { textContent: field });
    element("dd", list, { textContent: typeof value === "string" ? value : JSON.stringify(value) });
  }
}

// One field and a button. What is typed is JSON, or else a string; ttn-ferry checks it and says what is wrong.
function form(device, { field, friendly_name, value }) {
  const form = document.createElement("form");
  const label = element("label", form, { textContent: `${friendly_name ?? field} ` });
  const input = element("input", label, { name: field, placeholder: value?.type ?? "", size: 8, required: true });
  element("button", form, { textContent: "Send" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    client.publish(`${base}/${device}/set/${field}`, input.value, { qos: 1 });
  });
  return form;
}

function element(tag, parent, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  parent.append(element);
  return element;
}

function say(text) {
  document.getElementById("connection").textContent = text;
}
