// Choosing the time that is looked at.
import type { Signal } from "@preact/signals";
import type { Range } from "../../components/plot";
import { when } from "../../format";
import { now } from "../../store";
import { changed, SPANS, type Looked, type Span } from "./span";

export function RangeChooser({ looked, range }: { looked: Signal<Looked>; range: Range }) {
  const is = looked.value;
  const change = (how: { move?: number; scale?: number }) => () => {
    looked.value = { range: changed(range, how, now.value) };
  };
  return (
    <div class="ranges row" data-from={range[0]}>
      <div class="segments" role="group" aria-label="Time">
        {Object.keys(SPANS).map((span) => (
          <button key={span} type="button" aria-pressed={"span" in is && is.span === span} onClick={() => (looked.value = { span: span as Span })}>
            {span.replace(/(\d+)/, "$1 ")}
          </button>
        ))}
      </div>
      <div class="segments" role="group" aria-label="Move and zoom">
        <button type="button" aria-label="Earlier" title="Earlier" onClick={change({ move: -0.5 })}>‹</button>
        <button type="button" aria-label="Later" title="Later" disabled={range[1] >= now.value - 1000} onClick={change({ move: 0.5 })}>›</button>
        <button type="button" aria-label="Zoom in" title="Zoom in; or drag over a plot" onClick={change({ scale: 0.5 })}>+</button>
        <button type="button" aria-label="Zoom out" title="Zoom out" onClick={change({ scale: 2 })}>−</button>
      </div>
      {"range" in is && <span class="small muted">{when(is.range[0], now.value)} – {when(is.range[1], now.value)}</span>}
    </div>
  );
}
