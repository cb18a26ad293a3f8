// Which time is looked at: the last hours or days up to now, or a part that was zoomed into. Pure.
import type { Range } from "../../components/plot";

const HOUR = 3_600_000;
export const SPANS = { "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR, "30d": 720 * HOUR } as const;
export type Span = keyof typeof SPANS;

/** A span that ends now, or a range that stands still. */
export type Looked = { span: Span } | { range: Range };

/** Nobody needs more than this, and uplinks are seldom nearer. */
const SHORTEST = 60_000;

export function rangeOf(looked: Looked, at: number): Range {
  return "range" in looked ? looked.range : [at - SPANS[looked.span], at];
}

/** The same moved by a part of its length, or made longer or shorter around its middle; never into the future. */
export function changed([from, to]: Range, how: { move?: number; scale?: number }, at: number): Range {
  const length = to - from;
  const half = Math.max(SHORTEST, length * (how.scale ?? 1)) / 2;
  const middle = (from + to) / 2 + length * (how.move ?? 0);
  const over = Math.max(0, middle + half - at);
  return [Math.floor(middle - half - over), Math.ceil(middle + half - over)];
}
