// What happened, in sentences. Pure.
import type { StoredEvent } from "./api";
import { count, span } from "./format";
import type { Told } from "./live";

export type Tone = "good" | "warn" | "bad" | "";

export interface Said {
  text: string;
  /** What else there is to know. */
  more?: string | undefined;
  tone: Tone;
}

const text = (of: unknown) => (typeof of === "string" ? of : of === undefined || of === null ? "" : String(of));
const amount = (of: unknown) => (typeof of === "number" ? of : 0);
const lasted = (event: StoredEvent) => span(amount(event["silent_s"]) * 1000);
const stretch = ({ from, to }: StoredEvent) =>
  typeof from === "string" && typeof to === "string" ? `${span(Date.parse(to) - Date.parse(from))} of messages` : "messages";

/** One sentence a type; those of a device do not name it: it stands beside them. */
const SENTENCES: Record<string, (event: StoredEvent) => Said> = {
  device_seen_first: () => ({ text: "seen for the first time", tone: "good" }),
  device_joined: () => ({ text: "joined the network", tone: "" }),
  join: () => ({ text: "joined the network", tone: "" }),
  device_renamed: ({ from, to }) => ({ text: `renamed from ${text(from)} to ${text(to)}`, tone: "" }),
  device_offline: (event) => ({ text: `offline, silent for ${lasted(event)}`, tone: "bad" }),
  device_online: (event) => ({ text: `online again after ${lasted(event)}`, tone: "good" }),
  device_removed: () => ({ text: "forgotten", tone: "" }),
  name_taken: ({ wanted, holder }) => ({ text: `wanted the name ${text(wanted)}, which is ${text(holder)}'s`, tone: "warn" }),
  lost_frames: ({ missing }) => ({ text: `${count(amount(missing), "frame")} never came`, tone: "warn" }),
  codec_error: ({ error, line, codec }) => ({
    text: "the codec failed",
    more: [text(codec), line ? `line ${text(line)}` : "", text(error)].filter(Boolean).join(": "),
    tone: "bad",
  }),
  fair_use: ({ exceeded }) => ({ text: `used up its day of fair use: ${text(exceeded)}`, tone: "warn" }),
  network_connected: () => ({ text: "Connected to the network", tone: "good" }),
  network_lost: ({ reason }) => ({ text: "Connection to the network lost", more: text(reason), tone: "bad" }),
  degraded: ({ what, hint }) => ({ text: text(what), more: text(hint), tone: "warn" }),
  restored: ({ what }) => ({ text: `Works again: ${text(what)}`, tone: "good" }),
  uplinks_dropped: (event) => ({ text: `${count(amount(event["count"]), "message")} dropped: the bridge was too far behind`, tone: "bad" }),
  home_backlog_dropped: (event) => ({ text: `${count(amount(event["count"]), "message")} given up: too many waited for the home broker`, tone: "bad" }),
  spool_shed: (event) => ({ text: `${count(amount(event["count"]), "message")} given up: the spool is full or they are too old`, tone: "bad" }),
  unreadable: ({ reason }) => ({ text: "A message cannot be understood", more: text(reason), tone: "warn" }),
  undeliverable: ({ topic, reason }) => ({ text: "A message was given up", more: `${text(topic)}: ${text(reason)}`, tone: "bad" }),
  publish_refused: ({ topic, reason, hint }) => ({ text: `The home broker refuses ${text(topic)}`, more: `${text(reason)}. ${text(hint)}`, tone: "bad" }),
  command_dropped: ({ topic, reason }) => ({ text: "A command was dropped", more: `${text(topic)}: ${text(reason)}`, tone: "bad" }),
  gap_found: (event) => ({ text: `A gap: ${stretch(event)} may be missing`, more: text(event["why"]), tone: "warn" }),
  gap_repaired: (event) => ({ text: `Gap repaired: ${count(amount(event["repaired"]), "uplink")} fetched`, tone: "good" }),
  gap_lost: (event) => ({ text: `Gap lost: ${stretch(event)} will not come`, more: text(event["reason"]), tone: "bad" }),
  codec_broken: ({ codec, error }) => ({ text: `Codec ${text(codec)} cannot be used`, more: text(error), tone: "bad" }),
  codec_reloaded: ({ codec }) => ({ text: `Codec ${text(codec)} reloaded`, tone: "" }),
  configuration_reloaded: ({ changed, needs_restart }) => ({
    text: "Configuration read again",
    more: [listed("changed", changed), listed("needs a restart", needs_restart)].filter(Boolean).join("; "),
    tone: Array.isArray(needs_restart) && needs_restart.length > 0 ? "warn" : "",
  }),
  configuration_broken: ({ file, problems }) => ({
    text: `The configuration in ${text(file)} cannot be used; everything stays as it was`,
    more: Array.isArray(problems) ? problems.map((one: { message?: string }) => text(one.message)).join("; ") : "",
    tone: "bad",
  }),
  store_failing: ({ reason, hint }) => ({ text: "Nothing can be stored; going on in memory", more: `${text(reason)}. ${text(hint)}`, tone: "bad" }),
  readings_dropped: (event) => ({
    text: `${count(amount(event["count"]), "reading")} missing in the history: the disk failed for too long`,
    tone: "bad",
  }),
  clock_wrong: ({ ahead_s, hint }) => ({
    text: `The clock here is ${span(Math.abs(amount(ahead_s)) * 1000)} ${amount(ahead_s) < 0 ? "behind" : "ahead of"} the network's`,
    more: text(hint),
    tone: "warn",
  }),
  clock_right: () => ({ text: "The clock here and the network's agree again", tone: "good" }),
  store_works: () => ({ text: "The store works again", tone: "good" }),
};

function listed(name: string, of: unknown): string {
  return Array.isArray(of) && of.length > 0 ? `${name}: ${of.join(", ")}` : "";
}

/** An event in words; one that is not known by its type and what is in it. */
export function sentence(event: StoredEvent): Said {
  const known = SENTENCES[event.type];
  if (known) {
    const said = known(event);
    return { ...said, more: said.more || undefined };
  }
  const { event: _, at: __, kind: ___, type, device: ____, application: _____, device_id: ______, ...rest } = event;
  const more = Object.keys(rest).length > 0 ? JSON.stringify(rest) : undefined;
  return { text: type.replaceAll("_", " "), more, tone: "" };
}

/** Whether it is told once more: what the bridge tells of a join, the device's own event tells too. */
export function isTwin({ type }: StoredEvent): boolean {
  return type === "device_joined";
}

/** What was told is in an answer that was on its way, or newer than all of it. */
export function merged(told: StoredEvent[], read: StoredEvent[]): StoredEvent[] {
  const last = read[0]?.event ?? 0;
  return [...told.filter(({ event }) => event > last), ...read];
}

/** What the WebSocket tells, as the service stores it; none if it is no event. */
export function stored({ event, kind, device, application, device_id, at, data }: Told): StoredEvent | undefined {
  if (kind !== "bridge" && kind !== "event") return undefined;
  const body = (data ?? {}) as Record<string, unknown>;
  const type = text(kind === "bridge" ? body["type"] : body["name"]);
  const whose = { ...(device && { device }), ...(application && { application }), ...(device_id && { device_id }) };
  return { ...body, event, at, kind, type, ...whose };
}
