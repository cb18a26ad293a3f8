// Sends a command and tells each step: node command.js DEVICE FIELD=VALUE [mqtt://localhost:1883] [base topic]
// Exit code 0 once the device acknowledged it; 1 if it will not, and the last line says why.
const { randomUUID } = require("crypto");
const mqtt = require("mqtt");

const [device, assignment, url = "mqtt://localhost:1883", base = "ttn"] = process.argv.slice(2);
const [field, text] = assignment?.split(/=(.*)/) ?? [];
if (!field || text === undefined) {
  console.error("node command.js DEVICE FIELD=VALUE [URL] [BASE], such as: node command.js living-room led=true");
  process.exit(64);
}

const final = ["acked", "failed", "expired", "cancelled", "superseded"];
// Our own id tells our steps from those of others.
const downlink = { id: `mqttjs-${randomUUID()}`, fields: { [field]: value(text) }, confirmed: true };
const topic = `${base}/${device}/downlink`;
const client = mqtt.connect(url);

// Not before the broker listens for us: no step may be missed. Once: the library repeats what was not acknowledged.
client.once("connect", async () => {
  await client.subscribeAsync(`${topic}/state`, { qos: 1 });
  client.publish(`${topic}/push`, JSON.stringify(downlink), { qos: 1 });
});

client.on("message", (_topic, payload) => {
  const step = JSON.parse(payload);
  if (step.id !== downlink.id) return;
  console.log(...[step.at, step.state, step.reason, step.hint].filter(Boolean));
  if (final.includes(step.state)) {
    process.exitCode = step.state === "acked" ? 0 : 1;
    client.end();
  }
});

client.on("error", (error) => console.error(error.message));

function value(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text; // a bare word is a string
  }
}
