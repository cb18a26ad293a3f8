// Which of a device's values are shown, in which order, and as what. Pure.
import type { Device, Field, Json, State } from "./api";
import { isPlace, label } from "./format";

/** A value in a state, by its path. */
export interface Leaf {
  path: string;
  value: Json;
}

/** A leaf with what is known of it. */
export interface Shown extends Leaf {
  label: string;
  unit: string | undefined;
  field: Field | undefined;
}

/** What a state tells beside the decoded fields. */
const BESIDE = new Set(["last_seen", "link", "normalized", "battery_percentage"]);

/** The values in a state that are no objects; places stay whole. */
export function leaves(of: unknown, path = ""): Leaf[] {
  if (typeof of !== "object" || of === null || Array.isArray(of) || (path && isPlace(of))) {
    return path && of !== undefined ? [{ path, value: of as Json }] : [];
  }
  return Object.entries(of).flatMap(([key, value]) => leaves(value, path ? `${path}.${key}` : key));
}

/** What the codec says of the field at this path: by its name, or by a pattern such as `temperature_*`. */
export function describe(fields: Field[], path: string): Field | undefined {
  return fields.find(({ name }) => name === path) ?? fields.find(({ name }) => covers(name, path));
}

function covers(pattern: string, path: string): boolean {
  return pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)) && /^\d+$/.test(path.slice(pattern.length - 1));
}

/** What people look at first. */
const CLASSES = [
  "temperature", "moisture", "humidity", "carbon_dioxide", "power", "energy", "water", "gas", "distance", "precipitation",
  "wind_speed", "illuminance", "atmospheric_pressure",
];

/** Everything that a state tells, the most important first; what is about the device itself last. */
export function shown(device: Pick<Device, "fields">, state: State | undefined): Shown[] {
  if (!state) return [];
  const own = Object.entries(state).filter(([key]) => !BESIDE.has(key));
  const found = leaves(Object.fromEntries(own));
  const normalized = device.fields.filter(({ name }) => name.startsWith("normalized."));
  for (const { name } of normalized) {
    const value = at(state, name);
    if (value !== undefined) found.push({ path: name, value });
  }
  const all = found.map(({ path, value }): Shown => {
    const field = describe(device.fields, path);
    return { path, value, field, label: named(field, path), unit: field?.unit ?? undefined };
  });
  return all.map((one, index) => ({ one, rank: rank(one), index })).sort((a, b) => a.rank - b.rank || a.index - b.index).map(({ one }) => one);
}

function named(field: Field | undefined, path: string): string {
  const exact = field?.friendly_name && !field.name.endsWith("*") ? field.friendly_name : undefined;
  return exact ?? label(path);
}

function rank({ value, field, unit }: Shown): number {
  const known = CLASSES.indexOf(field?.device_class ?? "");
  if (field?.diagnostic) return 90;
  if (known >= 0) return known;
  if (isPlace(value)) return 21;
  if (typeof value === "number") return unit ? 20 : field?.state_class ? 22 : 40;
  if (typeof value === "boolean" || field?.kind === "binary_sensor") return 30;
  return 60;
}

/** The value at a path of dots. */
export function at(of: unknown, path: string): Json | undefined {
  let value: unknown = of;
  for (const level of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[level];
  }
  return value as Json | undefined;
}

/** The number that a sparkline shows. */
export function mainNumber(all: Shown[]): Shown | undefined {
  const numbers = all.filter(({ value }) => typeof value === "number");
  return numbers.find(({ field }) => !field?.diagnostic) ?? numbers[0];
}

export interface Battery {
  text: string;
  /** 0 to 100, if it is known in per cent. */
  percent: number | undefined;
}

/** What is known of a device's battery: its own field in %, else what the network says, else a voltage. */
export function battery(all: Shown[], state: State | undefined): Battery | undefined {
  const own = all.find(({ field, value }) => field?.device_class === "battery" && typeof value === "number");
  const percent = typeof own?.value === "number" ? own.value : state?.battery_percentage;
  if (typeof percent === "number") return { text: `${Math.round(percent)} %`, percent };
  const isVoltage = ({ path, field }: Shown) => field?.device_class === "voltage" && /bat/i.test(path);
  const voltage = all.find((one) => isVoltage(one) && typeof one.value === "number");
  return voltage && { text: `${Number(voltage.value).toFixed(2)} ${voltage.unit ?? "V"}`, percent: undefined };
}

/** The least signal-to-noise ratio in dB that a receiver needs at a spreading factor (Semtech SX1276, table 13). */
function floor(spreadingFactor: number): number {
  return -7.5 - 2.5 * (spreadingFactor - 7);
}

/** How well a device is heard, 1 to 4, and in a word. */
export function quality(snr: number | undefined, spreadingFactor: number | undefined): { bars: number; word: string } | undefined {
  if (snr === undefined) return undefined;
  const margin = snr - floor(spreadingFactor ?? 7);
  const bars = margin >= 12 ? 4 : margin >= 7 ? 3 : margin >= 3 ? 2 : 1;
  return { bars, word: ["weak", "fair", "good", "strong"][bars - 1] ?? "" };
}
