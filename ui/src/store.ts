// What the page knows: read once over HTTP, kept true by what the WebSocket tells.
import { batch, computed, effect, signal, type Signal } from "@preact/signals";
import * as http from "./api";
import { api, type Applications, type Availability, type Device, type Pending, type Session, type State, type StateEntry } from "./api";
import { inOrder } from "./late";
import * as live from "./live";

/** One device; each part is a signal of its own, so that a reading draws one card anew and no list. */
export interface Entry {
  key: string;
  info: Signal<Device>;
  state: Signal<State | undefined>;
  availability: Signal<Availability | undefined>;
  pending: Signal<Pending | undefined>;
}

/** Who we are to the service; none until it answered for the first time. */
export const session = signal<Session | undefined>(undefined);
/** The service has no configuration yet and asks for one. */
export const isOnboarding = signal(false);
/** What went wrong when the page was filled. */
export const trouble = signal<http.Problem | undefined>(undefined);
/** In the order of their names; none until they were read. */
export const entries = signal<Entry[] | undefined>(undefined);
export const applications = signal<Applications>({ applications: [] });
/** Now, in unix ms: ticks while the page is looked at. */
export const now = signal(Date.now());
/** Said to screen readers: only what they would want to be interrupted for. */
export const announcement = signal("");
export const theme = signal<"auto" | "light" | "dark">("auto");

export const byName = computed(() => new Map(entries.value?.map((entry) => [entry.info.value.name, entry])));

let known = new Map<string, Entry>();
const keyOf = ({ application, device_id }: { application?: string; device_id?: string }) => `${application}/${device_id}`;

/** Events that come while everything is read: told again afterwards, so that what was read does not undo them. */
let held: live.Told[] | undefined;
let isReadAgain = false;

/** Fills the page and keeps it true from now on. */
export function start(): void {
  keepTheme();
  keepTime();
  http.onRefused(() => {
    // It may be the late answer to a question from before the login: the session tells.
    if (session.value?.authenticated) void enter();
  });
  live.onMissed(() => void readAll());
  live.onTold(told);
  void enter();
}

/** Asks who we are, and goes in if we may. To be called again after a login. */
export async function enter(): Promise<void> {
  try {
    const said = await readSession();
    batch(() => {
      isOnboarding.value = false;
      trouble.value = undefined;
    });
    if (said.needed && !said.authenticated) return;
    if (isConnected) live.hurry();
    else live.connect(check);
    isConnected = true;
    // A proxy may let no WebSocket through.
    setTimeout(() => entries.value ?? void readAll(), 3_000);
  } catch (error) {
    trouble.value = error as http.Problem;
    isOnboarding.value = trouble.value.status === 404 && (await isAskingForConfiguration());
    if (!isOnboarding.value) setTimeout(() => void enter(), 5_000);
  }
}

const questions = { session: inOrder(), devices: inOrder(), applications: inOrder() };

async function readSession(): Promise<Session> {
  const isNews = questions.session();
  const said = await api.session();
  if (isNews()) session.value = said;
  return session.value ?? said;
}

/** Only a service without a configuration knows this resource, and it knows no sessions. */
async function isAskingForConfiguration(): Promise<boolean> {
  return http.ask("GET", "onboarding").then(
    () => true,
    (error: http.Problem) => error.status === 401 || error.status === 403,
  );
}

let isConnected = false;

/** The browser does not say why a WebSocket was refused. As long as there is none, everything is read with each try. */
function check(): void {
  readSession().then(
    (said) => {
      if (live.connection.value === "lost" && (said.authenticated || !said.needed)) void readAll();
    },
    () => {}, // It is away: the WebSocket comes back when it does.
  );
}

async function readAll(): Promise<void> {
  if (held) {
    isReadAgain = true;
    return;
  }
  held = [];
  const [isNews, areNews] = [questions.applications(), questions.devices()];
  try {
    const [devices, states, all] = await Promise.all([api.devices(), api.states(), api.applications()]);
    batch(() => {
      if (areNews()) takeDevices(devices);
      states.forEach(takeState);
      if (isNews()) applications.value = all;
      trouble.value = undefined;
    });
  } catch (error) {
    trouble.value = error as http.Problem;
    setTimeout(() => void readAll(), 5_000);
  }
  const missed = held;
  held = undefined;
  batch(() => missed.forEach(told));
  if (isReadAgain) {
    isReadAgain = false;
    void readAll();
  }
}

/** Reads the list of devices now: it is known to be another one. */
export async function readDevices(): Promise<void> {
  const areNews = questions.devices();
  const devices = await api.devices();
  if (areNews()) takeDevices(devices);
}

async function readApplications(): Promise<void> {
  const areNews = questions.applications();
  const all = await api.applications();
  if (areNews()) applications.value = all;
}

function takeDevices(devices: Device[]): void {
  const next = new Map<string, Entry>();
  for (const device of devices) {
    const key = keyOf(device);
    const entry = known.get(key) ?? unseen(key, device);
    entry.info.value = device;
    next.set(key, entry);
  }
  known = next;
  entries.value = [...next.values()].sort((a, b) => a.info.value.name.localeCompare(b.info.value.name, "en", { numeric: true }));
}

function unseen(key: string, device: Device): Entry {
  return { key, info: signal(device), state: signal(), availability: signal(device.availability), pending: signal() };
}

function takeState(said: StateEntry): void {
  const entry = known.get(keyOf(said));
  if (!entry) return;
  if (said.state) entry.state.value = said.state;
  if (said.availability) entry.availability.value = said.availability.state;
  if (said.pending) entry.pending.value = said.pending;
}

/** Read again at most this often because devices or applications changed. */
const REFRESH = 1_000;
const soon = {
  devices: throttled(readDevices),
  applications: throttled(readApplications),
  /** A device whose state is told before it is known: that state is not told again. */
  all: throttled(readAll),
};

function throttled(read: () => Promise<unknown>): () => void {
  let waits: ReturnType<typeof setTimeout> | undefined;
  return () => {
    waits ??= setTimeout(() => {
      waits = undefined;
      read().catch(() => {}); // The next change, or the next connection, reads it again.
    }, REFRESH);
  };
}

function told(event: live.Told): void {
  if (held) return void held.push(event);
  if (event.kind === "devices") return soon.devices();
  if (event.kind === "bridge" || event.kind === "info" || event.kind === "health") return soon.applications();
  const entry = known.get(keyOf(event));
  if (!entry) return event.device === undefined ? undefined : soon.all();
  switch (event.kind) {
    case "state":
      entry.state.value = event.data as State;
      break;
    case "pending":
      entry.pending.value = event.data as Pending;
      break;
    case "availability":
      takeAvailability(entry, event.data as { state: Availability });
  }
}

function takeAvailability(entry: Entry, { state }: { state: Availability }): void {
  if (entry.availability.value && entry.availability.value !== state) {
    announcement.value = `${entry.info.value.name} is ${state}`;
  }
  entry.availability.value = state;
}

function keepTime(): void {
  const tick = () => {
    if (!document.hidden) now.value = Date.now();
  };
  setInterval(tick, 5_000);
  document.addEventListener("visibilitychange", tick);
}

function keepTheme(): void {
  try {
    const kept = localStorage.getItem("theme");
    if (kept === "light" || kept === "dark") theme.value = kept;
  } catch {
    // No storage: the choice lasts as long as the page.
  }
  effect(() => {
    const chosen = theme.value;
    if (chosen === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = chosen;
    try {
      localStorage.setItem("theme", chosen);
    } catch {
      // As above.
    }
  });
}
