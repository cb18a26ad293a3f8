// The stock Mbed OS LoRaWAN example: readable text up, one byte for the LED down.

function decodeUplink(input) {
  var text = String.fromCharCode.apply(null, input.bytes).replace(/[\x00\s]+$/, "");
  var data = { text: text };
  var number = /[-+]?\d+(\.\d+)?(?!.*\d)/.exec(text);
  if (number) data.value = Number(number[0]);
  var led = /LED (on|off)/.exec(text);
  if (led) data.led = led[1] === "on";
  return { data: data, warnings: number ? [] : ["the text holds no number"] };
}

function encodeDownlink(input) {
  var led = input.data.led;
  if (typeof led !== "boolean") return { errors: ["led must be true or false"] };
  return { bytes: [led ? 1 : 0], fPort: 15 };
}

function decodeDownlink(input) {
  if (input.bytes.length !== 1 || input.bytes[0] > 1) return { errors: ["expected one byte, 0 or 1"] };
  return { data: { led: input.bytes[0] === 1 } };
}
