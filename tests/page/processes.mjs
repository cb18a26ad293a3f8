// Programs that the tests start, each with its log, and end by their process ids.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

/** How long a program may take to say that it is ready, and to end once it is told to. */
const PATIENCE_MS = 60_000;

export const PASSWORD = "correct horse battery staple";
/** Who may come to the home broker's second door. */
export const USER = "ferry";
export const TOKEN = "a-token-of-thirty-two-characters!";

/** The environment without what would change the configuration of a bridge. */
const OURS = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TTN_FERRY_")));

/** One running program. */
export class Program {
  /** Starts it and resolves as soon as a line of its output matches; what matched is in `said`. */
  static async start(name, command, args, { folder, ready, env = {} }) {
    const child = spawn(command, args, {
      cwd: folder,
      env: { ...OURS, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const program = new Program(name, child);
    const log = createWriteStream(join(folder, `${name}.log`), { flags: "a" });
    program.said = await new Promise((found, failed) => {
      const timer = setTimeout(() => failed(new Error(`${name} is not ready: see ${log.path}`)), PATIENCE_MS);
      const heard = (line) => {
        log.write(`${line}\n`);
        const match = ready.exec(line);
        if (match) found(match);
      };
      createInterface(child.stdout).on("line", heard);
      createInterface(child.stderr).on("line", heard);
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`${name} ended with ${code}: see ${log.path}`)));
      child.once("exit", () => clearTimeout(timer));
    }).catch(async (error) => {
      await program.stop();
      throw error;
    });
    return program;
  }

  constructor(name, child) {
    this.name = name;
    this.child = child;
  }

  async stop(signal = "SIGTERM") {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const ended = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    await ended;
    clearTimeout(timer);
  }
}

/** What runs beside the browser; everything listens on loopback only. */
export class World {
  constructor(binaries, folder) {
    this.binaries = resolve(binaries);
    this.folder = resolve(folder);
    this.programs = [];
    mkdirSync(this.folder, { recursive: true });
  }

  /** The demo: the bridge with everything around it in one process. */
  async demo() {
    const args = ["demo", "--page", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--speed", "4"];
    const demo = await this.#start("demo", "ttn-ferry", args, /page\D*(http:\/\/\S+)/i);
    return { url: demo.said[1], stop: () => demo.stop() };
  }

  /** A look-alike of The Things Stack and a home broker, open to all at `home`, to one user at `homeOfUsers`. */
  async outside() {
    const [mqtt, http] = [await freePort(), await freePort()];
    const network = await this.#start("look-alike", "examples/look_alike", [mqtt, http].map(String), /^ttn-ferry init/);
    const [home, homeOfUsers] = [await freePort(), await freePort()];
    const passwords = join(this.folder, "passwords");
    // Started by root it would become another user, who may not read that file.
    const doors = `per_listener_settings true\npersistence false\nuser root
listener ${home} 127.0.0.1\nallow_anonymous true
listener ${homeOfUsers} 127.0.0.1\nallow_anonymous false\npassword_file ${passwords}\n`;
    writeFileSync(join(this.folder, "mosquitto.conf"), doors);
    const env = { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };
    execFileSync("mosquitto_passwd", ["-b", "-c", passwords, USER, PASSWORD], { env });
    const broker = ["-v", "-c", "mosquitto.conf"];
    const mosquitto = await Program.start("mosquitto", "mosquitto", broker, {
      folder: this.folder,
      ready: /running/,
      env,
    });
    this.programs.push(mosquitto);
    return { mqtt, http, home, homeOfUsers, network };
  }

  /** A bridge of its own configuration, in a folder of its own; it can be started again and again on the same port. */
  async bridge(name, { mqtt, http, home }, web = "", more = "") {
    const port = await freePort();
    const folder = join(this.folder, name);
    mkdirSync(join(folder, "codecs"), { recursive: true });
    const text = `
[[application]]
id = "my-app"
mqtt_url = "mqtt://127.0.0.1:${mqtt}"
api_url = "http://127.0.0.1:${http}"
tenant = "ttn"
api_key_file = "../look-alike.key"

[home]
url = "mqtt://127.0.0.1:${home}"
# Of two with the same one, the broker throws the other out.
client_id = "${name}"
base_topic = "${name}"
[store]
path = "store"

[service]
socket = ""

[web]
listen = "127.0.0.1:${port}"
${web}
${more}
`;
    writeFileSync(join(folder, "ttn-ferry.toml"), text);
    const start = () => this.#start(name, "ttn-ferry", ["run", "--config", "ttn-ferry.toml"], /Started\./, folder);
    return { url: `http://127.0.0.1:${port}/`, folder, start };
  }

  /** A bridge without any configuration: it asks for one on its page. */
  async unconfigured(name = "unconfigured") {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    const args = ["run", "--config", "ttn-ferry.toml", "--page", `127.0.0.1:${await freePort()}`];
    const ready = /(http:\/\/127\.0\.0\.1:\d+\/\S*)/;
    const bridge = await this.#start(name, "ttn-ferry", args, ready, folder, {
      STATE_DIRECTORY: join(folder, "store"),
    });
    return { url: bridge.said[1], folder };
  }

  /** Ends everything, the youngest first. */
  async stop() {
    for (const program of this.programs.splice(0).reverse()) await program.stop();
  }

  async #start(name, binary, args, ready, folder = this.folder, env = {}) {
    const program = await Program.start(name, join(this.binaries, binary), args, { folder, ready, env });
    this.programs.push(program);
    return program;
  }
}

/** A port that nobody listens on now. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
