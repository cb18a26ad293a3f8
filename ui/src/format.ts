// Numbers, times and names as people read them. Pure: the time comes in as an argument.
import type { Field, Json } from "./api";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "now", "5 min ago", "3 h ago", "2 d ago". */
export function ago(then: number, now: number): string {
  const past = now - then;
  if (past < -MINUTE) return "in the future";
  return past < 10_000 ? "now" : `${span(past)} ago`;
}

/** A length of time with its largest unit: "12 s", "5 min", "3 h", "2 d". */
export function span(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/** At most four significant digits after a thousand, and no more than three after the point. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e9)) return value.toExponential(2).replace("-", "−");
  const digits = Number.isInteger(value) ? 0 : size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  const text = new Intl.NumberFormat("en", { maximumFractionDigits: digits, useGrouping: size >= 10_000 }).format(value);
  return text.replace("-", "−").replaceAll(",", "\u202f");
}

/** A value of a field in words. */
export function value(of: Json | undefined, field?: Pick<Field, "kind" | "device_class">): string {
  if (of === null || of === undefined) return "–";
  if (field?.kind === "binary_sensor") return yesOrNo(of, field.device_class);
  switch (typeof of) {
    case "number":
      return number(of);
    case "boolean":
      return of ? "on" : "off";
    case "string":
      return of;
    default:
      return isPlace(of) ? place(of) : Array.isArray(of) ? of.map((item) => value(item)).join(", ") : JSON.stringify(of);
  }
}

/** Home Assistant's words for its binary sensors. */
const SAID: Record<string, [on: string, off: string]> = {
  battery: ["low", "normal"],
  door: ["open", "closed"],
  window: ["open", "closed"],
  opening: ["open", "closed"],
  motion: ["motion", "clear"],
  occupancy: ["occupied", "clear"],
  presence: ["present", "away"],
  moisture: ["wet", "dry"],
  smoke: ["smoke", "clear"],
  gas: ["gas", "clear"],
  carbon_monoxide: ["CO", "clear"],
  tamper: ["tampered", "clear"],
  problem: ["problem", "OK"],
  vibration: ["vibrating", "still"],
  connectivity: ["connected", "disconnected"],
  sound: ["sound", "quiet"],
};

function yesOrNo(of: Json, deviceClass: string | null | undefined): string {
  const [on, off] = SAID[deviceClass ?? ""] ?? ["on", "off"];
  if (of === true || of === 1 || of === "open") return on;
  return of === false || of === 0 || of === "closed" ? off : String(of);
}

/** Whether something has `latitude` and `longitude`. */
export function isPlace(of: unknown): of is { latitude: number; longitude: number; altitude?: number } {
  if (typeof of !== "object" || of === null) return false;
  const { latitude, longitude } = of as Record<string, unknown>;
  return typeof latitude === "number" && typeof longitude === "number";
}

function place({ latitude, longitude }: { latitude: number; longitude: number }): string {
  const side = (of: number, names: string) => `${Math.abs(of).toFixed(4)}° ${names[of < 0 ? 1 : 0]}`;
  return `${side(latitude, "NS")}, ${side(longitude, "EW")}`;
}

/** "barometric_pressure_2", "relativeHumidity", "air.co2" and "TempC_SHT" for people. */
export function label(name: string): string {
  const words = name.replace(/^normalized\./, "").split(/[._\s]+/).filter(Boolean).flatMap(worded);
  const text = words.join(" ");
  const [first = ""] = words;
  return /^[a-z]+$/.test(first) ? first.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** What is written in capitals stays so. */
function worded(text: string): string[] {
  const short = SHORT[text.toLowerCase()];
  if (short) return [short];
  const words = text.replace(/([a-z\d])([A-Z])/g, "$1 $2").split(" ");
  return words.map((word) => (/^[A-Z\d]+$/.test(word) ? word : word.toLowerCase()));
}

/** Words that are no words. */
const SHORT: Record<string, string> = {
  co2: "CO₂", ph: "pH", ec: "EC", led: "LED", rssi: "RSSI", snr: "SNR", gps: "GPS", uv: "UV", pm25: "PM2.5", tvoc: "TVOC", n: "N", p: "P", k: "K",
};

/** "0167 0071 0268": hex in groups of two bytes. */
export function hex(text: string): string {
  return text.toUpperCase().replace(/(.{4})(?=.)/g, "$1 ");
}

/** "1.4 kB" */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const [size, unit] = count < 1e6 ? [count / 1e3, "kB"] : count < 1e9 ? [count / 1e6, "MB"] : [count / 1e9, "GB"];
  return `${size.toFixed(size < 10 ? 1 : 0)} ${unit}`;
}

/** "21 Nov, 15:04:05", in the reader's own time; with the year if it is another. */
export function when(at: number, now: number): string {
  const [date, today] = [new Date(at), new Date(now)];
  const year = date.getFullYear() === today.getFullYear() ? {} : ({ year: "numeric" } as const);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...year });
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === today.toDateString() ? time : `${day}, ${time}`;
}

/** "5 devices", "1 device" */
export function count(of: number, one: string, many = `${one}s`): string {
  return `${of.toLocaleString("en").replaceAll(",", "\u202f")} ${of === 1 ? one : many}`;
}
