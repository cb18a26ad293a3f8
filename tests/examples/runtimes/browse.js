// Opens examples/mqttjs/index.html as a browser does, reads a device's value, sends a command with its form, and prints
// what the page shows: node browse.js FOLDER NODE_MODULES WEBSOCKET_URL
const fs = require("fs");
const http = require("http");
const path = require("path");
const { JSDOM } = require("jsdom");

const [folder, modules, url] = process.argv.slice(2);

// The page's own files, and its library where npm would have put it.
const server = http.createServer((request, response) => {
  const asked = new URL(request.url, "http://localhost").pathname;
  const inModules = asked.startsWith("/node_modules/");
  const file = inModules ? path.join(modules, asked.slice(14)) : path.join(folder, asked === "/" ? "index.html" : asked);
  fs.createReadStream(file).on("error", () => response.writeHead(404).end()).pipe(response);
});

server.listen(0, "127.0.0.1", async () => {
  const address = `http://127.0.0.1:${server.address().port}/?url=${encodeURIComponent(url)}`;
  const { window } = await JSDOM.fromURL(address, { runScripts: "dangerously", resources: "usable", beforeParse });
  const { document } = window;
  const shown = (selector, wanted) => seen(window, () => {
    const element = document.querySelector(selector);
    return element && wanted(element.textContent) ? element : undefined;
  });
  console.log((await shown("#connection", (text) => text.startsWith("Connected"))).textContent);
  console.log((await shown("#living-room dl", (text) => text.includes("temperature"))).textContent);
  const input = await shown("#living-room input[name=led]", () => true);
  input.value = "true";
  input.form.querySelector("button").click();
  console.log((await shown("#living-room .step", (text) => text.includes("acked"))).textContent);
  process.exit(0);
});

// MQTT.js keeps time in a worker, for browsers slow down hidden pages; jsdom has no workers.
function beforeParse(window) {
  let library;
  Object.defineProperty(window, "mqtt", {
    get: () => library,
    set: (mqtt) => (library = { ...mqtt, connect: (url) => mqtt.connect(url, { timerVariant: "native" }) }),
  });
}

// Resolves once the page shows it.
function seen(window, look) {
  return new Promise((resolve) => {
    const check = () => {
      const found = look();
      if (!found) return;
      observer.disconnect();
      resolve(found);
    };
    const observer = new window.MutationObserver(check);
    observer.observe(window.document, { childList: true, subtree: true, characterData: true });
    check();
  });
}
