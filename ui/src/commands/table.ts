// What a codec's table of commands asks for, and the downlinks that a filled form makes of it.

import type { Command, CommandValue } from "../api";

/** What stands in the form, by field; nothing is an empty text. */
export type Draft = Readonly<Record<string, string>>;

/** What all of one form's downlinks share. */
export interface Manner {
  confirmed: boolean;
  priority: string;
  /** A span such as `30m`; empty for none. */
  expires_in: string;
}

export const PRIORITIES = ["LOWEST", "LOW", "BELOW_NORMAL", "NORMAL", "ABOVE_NORMAL", "HIGH", "HIGHEST"] as const;

export const USUAL: Manner = { confirmed: true, priority: "NORMAL", expires_in: "" };

export function nameOf(command: Command): string {
  return command.friendly_name ?? command.field;
}

/** What is wrong with each field of the form that holds something. */
export function faults(commands: readonly Command[], draft: Draft): Map<string, string> {
  const found = new Map<string, string>();
  for (const command of filled(commands, draft)) {
    const fault = faultOf(command.value, draft[command.field] ?? "");
    if (fault) found.set(command.field, fault);
  }
  return found;
}

/** One body of fields for each port: what goes out on the same port travels in one downlink. */
export function fieldsByPort(
  commands: readonly Command[],
  draft: Draft,
): { f_port?: number; fields: Record<string, unknown> }[] {
  const ports = new Map<number | undefined, Record<string, unknown>>();
  for (const command of filled(commands, draft)) {
    const port = command.f_port ?? undefined;
    const fields = ports.get(port) ?? {};
    fields[command.field] = valueOf(command.value, draft[command.field] ?? "");
    ports.set(port, fields);
  }
  return [...ports].map(([f_port, fields]) => (f_port === undefined ? { fields } : { f_port, fields }));
}

/** What is left in the form once these fields were sent: what was written into one of them meanwhile, too. */
export function without(draft: Draft, sent: Draft, fields: readonly string[]): Draft {
  return Object.fromEntries(Object.entries(draft).filter(([field, text]) => !fields.includes(field) || text !== sent[field]));
}

/** The manner as keys of a downlink: only what differs from what the bridge does anyway. */
export function mannerly({ confirmed, priority, expires_in }: Manner): Record<string, unknown> {
  return {
    confirmed,
    ...(priority === USUAL.priority ? {} : { priority }),
    ...(expires_in.trim() === "" ? {} : { expires_in: expires_in.trim() }),
  };
}

/** What a number takes, in words: `10 to 65535 s`. */
export function rangeOf(value: CommandValue): string {
  if (value.type !== "number") return "";
  return `${value.min} to ${value.max}${value.unit ? ` ${value.unit}` : ""}`;
}

function filled(commands: readonly Command[], draft: Draft): Command[] {
  return commands.filter((command) => command.value.type !== "button" && (draft[command.field] ?? "") !== "");
}

function faultOf(value: CommandValue, text: string): string | undefined {
  if (value.type !== "number") return undefined;
  const number = Number(text.replace(",", "."));
  const fits = text.trim() !== "" && number >= value.min && number <= value.max;
  return fits ? undefined : `must be a number from ${rangeOf(value)}`;
}

function valueOf(value: CommandValue, text: string): unknown {
  switch (value.type) {
    case "boolean":
      return text === "true";
    case "number":
      return Number(text.replace(",", "."));
    default:
      return text;
  }
}
