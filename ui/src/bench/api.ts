// What the service is asked about codecs.
import { ask, type Command, type Field, type Fields, type Json } from "../api";
import type { Whose } from "../commands/api";

export interface Codec {
  name: string;
  source: "shipped" | "user" | "repository" | "network";
  description?: string | null;
  /** Names at home of the devices that have it. */
  devices: string[];
  fields: Field[];
  commands: Command[];
  editable: boolean;
}

export interface Source {
  name: string;
  source: Codec["source"];
  kind: "script" | "table";
  text: string;
  path?: string | null;
  editable: boolean;
}

/** A home entity, as it would be announced. */
export interface Entity {
  component: string;
  name?: string | null;
  unit?: string | null;
  device_class?: string | null;
  state_class?: string | null;
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
    console?: string[];
  };
}

/** The last uplinks that a script is tried on. */
const MOST = 20;

const at = (name: string) => `codecs/${encodeURIComponent(name)}/source`;

export const bench = {
  codecs: () => ask<{ codecs: Codec[]; edit: boolean }>("GET", "codecs"),
  source: (name: string) => ask<Source>("GET", at(name)),
  save: (name: string, text: string) => ask<unknown>("PUT", at(name), { text }),
  /** `subject`: a `codec` by its name, or the `text` of one; `payload`: the port and the bytes. */
  test: (subject: { codec: string } | { text: string }, payload: object, signal: AbortSignal) =>
    ask<Outcome>("POST", "codecs/test", { ...subject, ...payload }, signal),
  try: ({ device_id, application }: Whose, text: string) =>
    ask<{ tried: Tried[] }>("POST", "codecs/try", { device: device_id, application, text, limit: MOST }),
};
