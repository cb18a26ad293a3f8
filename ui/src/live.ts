// The one WebSocket of the page: everything that happens, in order, none of it twice; resumed where it broke off.
import { signal } from "@preact/signals";
import { address, type Availability, type Fields, type Pending, type State } from "./api";

/** Something that happened. `device`, `application` and `device_id` are absent for the bridge's own. */
export interface Told<D = unknown> {
  event: number;
  kind: Kind;
  device?: string;
  application?: string;
  device_id?: string;
  at: string;
  data: D;
}

export type Kind =
  | "state" | "uplink" | "event" | "availability" | "pending" | "downlink" | "bridge" | "info" | "health" | "devices";

export type Frame =
  | { type: "hello"; version: string; event: number; oldest: number }
  | { type: "missed"; from: number; to: number }
  | { type: "error"; detail: string }
  | Told;

export type StateTold = Told<State>;
export type AvailabilityTold = Told<{ state: Availability }>;
export type PendingTold = Told<Pending>;
export type EventTold = Told<Fields & { name: string }>;

/** What a frame asks of the page. */
export type Step = { do: "nothing" } | { do: "reload" } | { do: "tell"; told: Told };

/** How far we have heard: what decides whether a frame is news, and whether something is missing before it. */
export class Progress {
  /** The newest event heard. */
  last: number | undefined;
  version: string | undefined;

  take(frame: Frame): Step {
    if (!("type" in frame)) {
      if (this.last !== undefined && frame.event <= this.last) return { do: "nothing" };
      this.last = frame.event;
      return { do: "tell", told: frame };
    }
    if (frame.type === "missed") {
      this.last = Math.max(this.last ?? 0, frame.to);
      return { do: "reload" };
    }
    return frame.type === "hello" ? this.greet(frame) : { do: "nothing" };
  }

  /** Numbers only rise, also over a restart; a lower one is another service, or one whose clock went back. */
  private greet({ event, oldest, version }: { event: number; oldest: number; version: string }): Step {
    const { last } = this;
    this.version = version;
    if (last !== undefined && event >= last && oldest <= last + 1) return { do: "nothing" };
    this.last = event;
    return { do: "reload" };
  }
}

/** How long to wait before the n-th try, in ms: 0.5 s doubled up to 15 s; `random` (0 to 1) takes up to half of it off. */
export function backOff(attempt: number, random: number): number {
  return Math.min(15_000, 500 * 2 ** Math.min(attempt, 10)) * (1 - random / 2);
}

/** `lost` only once it has lasted: a break of a moment is nobody's business. */
export const connection = signal<"connecting" | "open" | "lost">("connecting");
/** The version of the service that we talk to. */
export const version = signal<string | undefined>(undefined);

type Listener = (told: Told) => void;
const listeners = new Set<Listener>();
const reloads = new Set<() => void>();

/** Hears everything that happens from now on, until the returned function is called. */
export function onTold(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Called when something may have been missed: what was read is to be read again. */
export function onMissed(listener: () => void): () => void {
  reloads.add(listener);
  return () => reloads.delete(listener);
}

/** Bridge health is told every minute: a line that is silent for longer is dead, whatever the browser thinks. */
const SILENCE = 150_000;
/** A connection lost for longer is shown. */
const PATIENCE = 2_000;

const progress = new Progress();
let socket: WebSocket | undefined;
let attempt = 0;
let retry: ReturnType<typeof setTimeout> | undefined;
let silence: ReturnType<typeof setTimeout> | undefined;
let patience: ReturnType<typeof setTimeout> | undefined;

let unreachable: () => void = () => {};

/** Connects and stays connected. `failed` is called after each try that failed and each connection that broke. */
export function connect(failed: () => void): void {
  unreachable = failed;
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", () => document.hidden || hurry());
  open();
}

/** Tries now, if it waits for the next try. */
export function hurry(): void {
  if (retry !== undefined) open();
}

function open(): void {
  clearTimeout(retry);
  retry = undefined;
  const url = address(`api/v1/live${progress.last === undefined ? "" : `?after=${progress.last}`}`);
  url.protocol = url.protocol.replace("http", "ws");
  const own = new WebSocket(url);
  socket = own;
  own.onmessage = ({ data }) => {
    if (socket === own) heard(JSON.parse(data as string) as Frame);
  };
  own.onclose = () => {
    if (socket === own) lost();
  };
}

/** Does not wait for the other side to agree that it is over: it may be gone. */
function lost(): void {
  const old = socket;
  socket = undefined;
  old?.close();
  clearTimeout(silence);
  patience ??= setTimeout(() => (connection.value = "lost"), PATIENCE);
  retry = setTimeout(open, backOff(attempt++, Math.random()));
  unreachable();
}

function heard(frame: Frame): void {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE);
  if ("type" in frame && frame.type === "hello") {
    attempt = 0;
    clearTimeout(patience);
    patience = undefined;
    connection.value = "open";
  }
  const step = progress.take(frame);
  version.value = progress.version;
  if (step.do === "reload") reloads.forEach((reload) => reload());
  if (step.do === "tell") listeners.forEach((listener) => listener(step.told));
}
