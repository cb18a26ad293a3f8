// What the service is asked about codecs.
import { ask, type Command, type Field, type Fields, type Json } from "../api";
import type { Whose } from "../commands/api";

export interface Codec {
  name: string;
  source: Origin;
  description?: string;
  /** Names at home of the devices that have it. */
  devices: string[];
  fields: Field[];
  commands: Command[];
  /** Why it cannot be used as it lies there now. */
  error?: string;
  /** It may be saved under this name. */
  editable: boolean;
}

export type Origin = "shipped" | "user" | "repository" | "network";

/** What a text is. */
export type Form = "script" | "table";

export interface Source {
  name: string;
  source: Origin;
  kind: Form;
  text: string;
  /** Its file, within the codec folder. */
  path?: string;
  editable: boolean;
}

/** A home entity, as it would be announced. */
export interface Entity {
  component: string;
  name: string;
  unit?: string;
  device_class?: string;
  /** Whether it is there without being switched on first. */
  enabled: boolean;
}

/** What a codec made of a payload. */
export interface Outcome {
  codec: string;
  fields?: Fields | null;
  normalized?: Json;
  error?: string;
  /** Where in the script, counted from 1. */
  line?: number;
  warnings?: string[];
  /** What the script wrote to its `console`. */
  console?: string[];
  entities?: Entity[];
}

/** One of a device's last uplinks, read by the codec that the device has and by the one that is tried. */
export interface Tried {
  id: string;
  at: string;
  f_port?: number | null;
  payload_hex: string;
  before: { fields?: Fields | null; error?: string };
  after: {
    fields?: Fields | null;
    normalized?: Json;
    error?: string;
    line?: number;
    warnings?: string[];
    /** What the script wrote to its `console`. */
    log?: string[];
  };
}

/** The last uplinks that a script is tried on. */
const MOST = 20;

const at = (name: string) => `codecs/${encodeURIComponent(name)}/source`;

/** What is asked of a payload: a codec by its name, a device's own, or the text of one. */
export type Asked =
  { codec: string } | { device: string; application: string } | { codec: string; text: string; kind: Form };

export const bench = {
  codecs: () => ask<{ codecs: Codec[]; edit: boolean }>("GET", "codecs"),
  source: (name: string) => ask<Source>("GET", at(name)),
  /** `error`: why it is not used all the same. */
  save: (name: string, text: string, kind: Form) =>
    ask<{ path: string; error?: string }>("PUT", at(name), { text, kind }),
  /** `payload`: the port and the bytes. */
  test: (asked: Asked, payload: object, signal: AbortSignal) =>
    ask<Outcome>("POST", "codecs/test", { ...asked, ...payload }, signal),
  try: ({ device_id, application }: Whose, text: string, kind: Form) =>
    ask<{ tried: Tried[] }>("POST", "codecs/try", { device: device_id, application, text, kind, limit: MOST }),
};
