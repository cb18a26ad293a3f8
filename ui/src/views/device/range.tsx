// Which time is looked at: the last hours or days up to now, or a part that was zoomed into.
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { Range } from "../../components/plot";
import { when } from "../../format";
import { now } from "../../store";

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
  return [middle - half - over, middle + half - over];
}

export function RangeChooser({ looked, range }: { looked: Signal<Looked>; range: ReadonlySignal<Range> }) {
  const is = looked.value;
  const change = (how: { move?: number; scale?: number }) => () => {
    looked.value = { range: changed(range.value, how, now.value) };
  };
  return (
    <div class="ranges row">
      <div class="segments" role="group" aria-label="Time">
        {Object.keys(SPANS).map((span) => (
          <button key={span} type="button" aria-pressed={"span" in is && is.span === span} onClick={() => (looked.value = { span: span as Span })}>
            {span.replace(/(\d+)/, "$1 ")}
          </button>
        ))}
      </div>
      <div class="segments" role="group" aria-label="Move and zoom">
        <button type="button" aria-label="Earlier" title="Earlier" onClick={change({ move: -0.5 })}>‹</button>
        <button type="button" aria-label="Later" title="Later" disabled={range.value[1] >= now.value - 1000} onClick={change({ move: 0.5 })}>›</button>
        <button type="button" aria-label="Zoom in" title="Zoom in; or drag over a plot" onClick={change({ scale: 0.5 })}>+</button>
        <button type="button" aria-label="Zoom out" title="Zoom out" onClick={change({ scale: 2 })}>−</button>
      </div>
      {"range" in is && (
        <span class="small muted">
          {when(is.range[0], now.value)} – {when(is.range[1], now.value)}
          <button type="button" class="button is-quiet is-small" onClick={() => (looked.value = { span: "24h" })}>Back to now</button>
        </span>
      )}
    </div>
  );
}
