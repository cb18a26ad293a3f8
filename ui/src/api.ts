// What the service is asked over HTTP, and what it answers. All addresses are relative to <base href>.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Fields = { [key: string]: Json };

export interface Session {
  /** Whether anything must be shown to get in. */
  needed: boolean;
  authenticated: boolean;
  /** Whether a password is set; else it is the token. */
  password: boolean;
  edit_codecs: boolean;
  base_path: string;
}

export interface Field {
  /** Levels joined by dots; a `*` at the end stands for a channel's number. */
  name: string;
  friendly_name?: string | null;
  kind: "sensor" | "binary_sensor" | "tracker";
  unit?: string | null;
  device_class?: string | null;
  state_class?: string | null;
  diagnostic: boolean;
}

export type CommandValue =
  | { type: "boolean" | "text" | "button" }
  | { type: "number"; min: number; max: number; step: number; unit?: string | null }
  | { type: "select"; options: string[] };

export interface Command {
  field: string;
  friendly_name?: string | null;
  f_port?: number | null;
  value: CommandValue;
}

export interface Device {
  name: string;
  application: string;
  device_id: string;
  dev_eui?: string;
  join_eui?: string;
  dev_addr?: string;
  version_ids?: { brand_id: string; model_id: string; hardware_version: string; firmware_version: string; band_id: string };
  codec?: { name: string; chosen_by: string; hint?: string } | null;
  fields: Field[];
  commands: Command[];
  last_seen?: string | null;
  availability?: Availability;
  interval_s?: number;
}

export type Availability = "online" | "offline";

export interface Usage {
  day: string;
  airtime_s: number;
  airtime_limit_s: number;
  downlinks: number;
  downlinks_limit: number;
}

export interface DeviceDetails extends Device {
  usage?: Usage | null;
  codec_choice: CodecChoice;
  options?: Fields | null;
}

/** A codec that a device could have; `why_not` unless it is the one it has. */
export interface Considered {
  name: string;
  source: CodecSource;
  why: string;
  why_not?: string;
}

export type CodecSource = "shipped" | "user" | "repository" | "network";

export interface CodecChoice {
  /** `network` if its own formatter decodes, `none` if nothing does. */
  name: string | null;
  source: CodecSource | null;
  why: string | null;
  others: Considered[];
}

export interface Link {
  /** dBm */
  rssi?: number;
  /** dB */
  snr?: number;
  spreading_factor?: number;
  gateways: number;
  best_gateway?: string;
  f_cnt: number;
  lost_frames: number;
  /** Seconds. */
  airtime_today: number;
}

/** The merged state: decoded fields beside these. */
export interface State {
  last_seen?: string | null;
  link?: Link;
  normalized?: Fields;
  battery_percentage?: number;
  [field: string]: unknown;
}

export interface StateEntry {
  device: string;
  application: string;
  device_id: string;
  state?: State | null;
  availability?: { state: Availability } | null;
  pending?: Pending | null;
}

/** What waits to be sent to a device. */
export interface Pending {
  queue: number;
  fields: Fields;
}

export interface Series {
  unit?: string;
  kind: "number" | "bool" | "text";
  /** Unix milliseconds. */
  at: number[];
  /** Truths and texts hold until the next. */
  value: (number | boolean | string | null)[];
  min?: (number | null)[];
  max?: (number | null)[];
}

export interface Readings {
  device: string;
  from: string;
  to: string;
  count: number;
  sampled: boolean;
  series: Record<string, Series>;
}

export interface RadioHistory {
  gateways: Record<string, { at: number[]; rssi: number[]; snr: number[]; count: number }>;
  spreading_factor: { at: number[]; value: number[] };
  lost: { at: number[]; value: number[] };
  airtime: { at: number[]; value: number[] };
}

export interface Reception {
  id: string;
  eui?: string;
  rssi: number;
  snr: number;
  location?: Place | null;
}

export interface Place {
  latitude: number;
  longitude: number;
  altitude?: number;
}

export interface Uplink {
  id: string;
  device: string;
  application: string;
  device_id: string;
  at: string;
  f_port?: number | null;
  f_cnt: number;
  payload_hex: string;
  fields?: Fields;
  normalized?: Fields[];
  codec?: string;
  codec_error?: string;
  warnings?: string[];
  confirmed: boolean;
  encrypted: boolean;
  simulated: boolean;
  backfilled: boolean;
  radio: {
    gateways: Reception[];
    spreading_factor?: number;
    bandwidth?: number;
    bit_rate?: number;
    frequency?: number;
    airtime?: number;
  };
  locations?: Record<string, Place> | null;
  battery_percentage?: number;
}

export interface Gateway {
  id: string;
  eui?: string | null;
  last_seen: string;
  uplinks: number;
  devices: string[];
  best_rssi?: number | null;
  best_snr?: number | null;
  location?: Place | null;
}

export interface Application {
  name: string;
  connected: boolean;
  last_message?: string;
  /** Messages that the read loop had to drop. */
  dropped: number;
  /** What does not work at the moment, with what to do about it. */
  degraded: string[];
  /** Messages of it that wait for the home broker. */
  backlog: number;
  gaps_open: number;
  devices: number;
}

export interface Applications {
  applications: Application[];
}

export interface Gap {
  id: number;
  application: string;
  from: string;
  to: string;
  state: "open" | "repaired" | "lost";
  why?: string;
  repaired?: number;
  lost?: number;
  /** Why they will not come. */
  reason?: string;
}

/** A notice of the bridge, or an event of a device; what else is in it depends on its type. */
export interface StoredEvent {
  event: number;
  at: string;
  kind: "bridge" | "event";
  type: string;
  device?: string;
  application?: string;
  device_id?: string;
  [more: string]: unknown;
}

/** An error as RFC 9457 has it, with our hint; status 0 if the service did not answer at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly hint?: string,
  ) {
    super(detail);
  }
}

/** The address of something the service serves, below <base href>. */
export function address(path: string): URL {
  return new URL(path, document.baseURI);
}

let refused: () => void = () => {};

/** Called whenever the service wants to know who asks. */
export function onRefused(listener: () => void): void {
  refused = listener;
}

/** Asks the API; `path` is below `api/v1/`. Throws nothing but `Problem`, except when `signal` ends it. */
export async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  let text: string;
  try {
    const sent = body === undefined ? null : JSON.stringify(body);
    const wait = AbortSignal.timeout(20_000);
    const ends = signal ? AbortSignal.any([signal, wait]) : wait;
    response = await fetch(address(`api/v1/${path}`), { method, headers, body: sent, signal: ends, cache: "no-store" });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "The service does not answer.", "Is ttn-ferry running, and is this device on its network?");
  }
  if (!response.ok) throw problem(response.status, text);
  return (text ? JSON.parse(text) : undefined) as T;
}

function problem(status: number, text: string): Problem {
  if (status === 401) refused();
  try {
    const { detail, title, hint } = JSON.parse(text) as { detail?: string; title?: string; hint?: string };
    return new Problem(status, detail ?? title ?? `The service answered ${status}.`, hint);
  } catch {
    return new Problem(status, text.slice(0, 200) || `The service answered ${status}.`);
  }
}

/** `?a=1&b=2` of what is given. */
export function query(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter((pair): pair is [string, string | number] => pair[1] !== undefined);
  const text = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  return text && `?${text}`;
}

/** A name belongs to one device; an id may be in two applications. */
type Whose = Pick<Device, "name" | "application">;

function device({ name }: Whose): string {
  return `devices/${encodeURIComponent(name)}`;
}

type Span = { from?: string; to?: string; points?: number; fields?: string };

export const api = {
  session: () => ask<Session>("GET", "session"),
  login: (secret: { password: string } | { token: string }) => ask<unknown>("POST", "session", secret),
  logout: () => ask<unknown>("DELETE", "session"),
  devices: () => ask<Device[]>("GET", "devices"),
  states: () => ask<StateEntry[]>("GET", "states"),
  applications: () => ask<Applications>("GET", "applications"),
  gaps: (limit = 50) => ask<{ gaps: Gap[] }>("GET", `gaps${query({ limit })}`),
  gateways: (from = "24h") => ask<{ gateways: Gateway[] }>("GET", `gateways${query({ from })}`),
  /** `since`: all that happened since then is kept. */
  events: (asked: { before?: number; limit?: number; device?: string; kind?: string }, signal?: AbortSignal) =>
    ask<{ events: StoredEvent[]; since: string }>("GET", `events${query(asked)}`, undefined, signal),
  device: (whose: Whose, signal?: AbortSignal) =>
    ask<DeviceDetails>("GET", `${device(whose)}${query({ application: whose.application })}`, undefined, signal),
  rename: (whose: Whose, to: string) => ask<unknown>("POST", `${device(whose)}/rename`, { application: whose.application, to }),
  readings: (whose: Whose, span: Span, signal?: AbortSignal) =>
    ask<Readings>("GET", `${device(whose)}/readings${query({ application: whose.application, ...span })}`, undefined, signal),
  radio: (whose: Whose, span: Span, signal?: AbortSignal) =>
    ask<RadioHistory>("GET", `${device(whose)}/radio${query({ application: whose.application, ...span })}`, undefined, signal),
  uplinks: (whose: Whose, asked: { limit?: number; before?: number }, signal?: AbortSignal) =>
    ask<{ uplinks: Uplink[]; next: number | null }>(
      "GET",
      `${device(whose)}/uplinks${query({ application: whose.application, ...asked })}`,
      undefined,
      signal,
    ),
};
