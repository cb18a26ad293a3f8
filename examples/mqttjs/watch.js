// Prints each reading of each device, until Ctrl-C: node watch.js [mqtt://localhost:1883] [base topic]
const mqtt = require("mqtt");

const [url = "mqtt://localhost:1883", base = "ttn"] = process.argv.slice(2);
const client = mqtt.connect(url);

// A device's name may hold slashes, so `<base>/+/uplink` would miss some.
client.on("connect", () => client.subscribe(`${base}/#`, { qos: 1 }));

client.on("message", (topic, payload) => {
  if (!topic.endsWith("/uplink")) return;
  const reading = JSON.parse(payload);
  // Without a codec, or when it failed, there are only bytes.
  const fields = reading.fields ?? { payload_hex: reading.payload_hex };
  const values = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  if (reading.backfilled) values.push("(late)");
  console.log(reading.at, reading.device, ...values);
});

// The library tries again by itself.
client.on("error", (error) => console.error(error.message));
