// Lines over time, by uPlot: one cursor for all plots of a page, zoom by dragging or by fingers, a band where readings were summed up.
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { number } from "../format";
import { joined, summary, withGaps, type Value } from "../series";
import { theme } from "../store";
import { followFingers } from "./touch";

/** From and to, in unix ms. */
export type Range = [from: number, to: number];

export interface Line {
  label: string;
  at: number[];
  value: Value[];
  /** Of each bucket, if readings were summed up. */
  min?: Value[] | undefined;
  max?: Value[] | undefined;
}

interface Asked {
  lines: Line[];
  unit: string | undefined;
  range: Range;
  /** A range that was dragged over, or moved to. */
  onZoom: (range: Range) => void;
  /** `step` holds each value until the next; `bar` starts at 0. */
  shape?: "line" | "step" | "bar";
  height?: number;
}

/** The library, once it is loaded. */
let library: Promise<{ default: typeof uPlot }> | undefined;

/** Changes with the colours of the page: a canvas does not follow by itself. */
const painted = signal(0);
const repaint = () => (painted.value += 1);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
theme.subscribe(() => queueMicrotask(repaint));

export function Plot(asked: Asked) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const zoom = useRef(asked.onZoom);
  zoom.current = asked.onZoom;
  const shown = useRef(asked.range);
  shown.current = asked.range;
  const [under, setUnder] = useState<number | null>(null);
  const { lines, range, unit, shape = "line", height = 170 } = asked;
  // A cursor that moves draws the legend anew, and no line.
  const rows = useMemo(() => table(lines), [lines]);
  const data = useRef(rows);
  data.current = rows;
  const form = `${painted.value} ${shape} ${unit} ${lines.map(({ label, min }) => `${label}${min ? "+" : ""}`).join()}`;
  useEffect(() => {
    const element = box.current;
    let end = () => {};
    let isGone = false;
    // Its address is that of `uplot.js` beside this file's bundle: `build.mjs` makes both.
    library ??= import("./uplot.js" as string) as Promise<{ default: typeof uPlot }>;
    library.then(
      ({ default: Drawing }) => {
        if (!isGone && element) end = draw(Drawing, element);
      },
      () => (library = undefined), // The next plot tries again.
    );
    return () => {
      isGone = true;
      end();
    };
  }, [form]);
  const draw = (Drawing: typeof uPlot, element: HTMLDivElement) => {
    const size = { shape, height, width: element.clientWidth, range };
    const drawn = new Drawing(options(lines, size, Drawing.paths, (found) => zoom.current(found), setUnder), data.current, element);
    plot.current = drawn;
    followFingers(drawn.over, {
      range: () => shown.current,
      show: ([min, max]) => drawn.setScale("x", { min, max }),
      done: (found) => zoom.current(found),
    });
    const resized = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      drawn.destroy();
      plot.current = undefined;
    };
  };
  useEffect(() => {
    plot.current?.batch((drawn: uPlot) => {
      drawn.setData(rows, false);
      drawn.setScale("x", { min: range[0], max: range[1] });
    });
  }, [rows, ...range]);
  return (
    <>
      <Legend lines={lines} unit={unit} under={under} data={rows} />
      <div ref={box} class="plot" role="img" aria-label={said(lines, unit)} style={{ height: `${height}px` }} />
    </>
  );
}

function said(lines: Line[], unit = ""): string {
  return lines
    .map(({ label, value, min, max }) => {
      const all = summary(value, min, max);
      return all ? `${label}: ${number(all.min)} to ${number(all.max)} ${unit}, on average ${number(all.mean)}` : `${label}: nothing`;
    })
    .join("; ");
}

/** What is under the cursor, or else the range of each line. */
function Legend({ lines, unit, under, data }: { lines: Line[]; unit: string | undefined; under: number | null; data: uPlot.AlignedData }) {
  const at = under === null ? undefined : data[0][under];
  let column = 0;
  return (
    <ul class="legend" aria-hidden="true">
      {lines.map(({ label, value, min, max }, i) => {
        const own = (column += 1);
        if (min) column += 2;
        const here = under === null ? undefined : nearest(data[own], under);
        const all = summary(value, min, max);
        const text = here !== undefined ? number(here) : all ? (all.min === all.max ? number(all.min) : `${number(all.min)} … ${number(all.max)}`) : "nothing";
        return (
          <li key={label}>
            <i style={{ background: `var(--series-${(i % 6) + 1})` }} />
            {label} <b>{text}{all && unit ? ` ${unit}` : ""}</b>
          </li>
        );
      })}
      {at !== undefined && <li class="muted">{new Date(at).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })}</li>}
    </ul>
  );
}

/** The value at an index, or the one before it: lines of several devices have their points at different times. */
function nearest(column: ArrayLike<number | null | undefined> | undefined, index: number): number | undefined {
  for (let i = index; column && i >= 0; i -= 1) {
    const value = column[i];
    if (value === null) return undefined;
    if (value !== undefined) return value;
  }
  return undefined;
}

function table(lines: Line[]): uPlot.AlignedData {
  const { at, columns } = joined(
    lines.map(({ at, value, min, max }) => withGaps(at, min && max ? [value, max, min] : [value])),
  );
  return [at, ...columns] as uPlot.AlignedData;
}

type Size = { shape: "line" | "step" | "bar"; width: number; height: number; range: Range };

function options(lines: Line[], size: Size, paths: uPlot.Series.PathBuilderFactories, zoomed: (range: Range) => void, under: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  lines.forEach(({ label, min }, i) => {
    const stroke = colour(`--series-${(i % 6) + 1}`);
    series.push({ label, stroke, width: 1.6, points: { show: (_, __, from, to) => to - from < 60, size: 4, fill: stroke, stroke }, ...form(size.shape, stroke, paths) });
    if (!min) return;
    bands.push({ series: [series.length, series.length + 1], fill: `${stroke}2e` });
    series.push({ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } });
  });
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--muted"), grid, ticks: { show: false }, font: `12px ${colour("--font")}` };
  return {
    width: size.width,
    height: size.height,
    ms: 1,
    padding: [8, 18, 0, 0],
    series,
    bands,
    legend: { show: false },
    scales: { x: { time: true, range: (_, min, max) => [min, max], min: size.range[0], max: size.range[1] }, y: { range: span(size.shape) } },
    axes: [
      { ...axis, values: (_, splits, __, ___, step) => splits.map((at) => clock(at, step)), space: 64, size: 28, gap: 6 },
      { ...axis, values: (_, splits, __, ___, step) => splits.map((value) => graded(value, step)), space: 34, size: 48, gap: 6 },
    ],
    cursor: {
      sync: { key: "page", setSeries: false, scales: ["x", null] },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
      y: false,
    },
    hooks: {
      setCursor: [(plot) => under(plot.cursor.idx ?? null)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          // Whole milliseconds: the axis would say a fraction of the minute before.
          zoomed([Math.floor(plot.posToVal(left, "x")), Math.ceil(plot.posToVal(left + width, "x"))]);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function form(shape: Size["shape"], stroke: string, { stepped, bars }: uPlot.Series.PathBuilderFactories): Partial<uPlot.Series> {
  if (shape === "step" && stepped) return { paths: stepped({ align: 1 }) };
  return shape === "bar" && bars ? { paths: bars({ size: [0.6, 12, 3] }), fill: `${stroke}66`, points: { show: false } } : {};
}

/** Some room above and below; a line that never changes is in the middle of one unit or so. */
function span(shape: Size["shape"]): uPlot.Scale.Range {
  return (_, least, greatest) => {
    if (least === null || greatest === null || !Number.isFinite(least)) return [0, 1];
    if (shape === "bar") return [0, Math.max(1, greatest * 1.15)];
    const room = (greatest - least) * 0.08 || Math.max(Math.abs(greatest) * 0.02, 0.5);
    return [least - room, greatest + room];
  };
}

/** With as many digits as tell it from the next one on the axis. */
function graded(value: number, step: number): string {
  const digits = Math.min(6, Math.ceil(-Math.log10(step) - 1e-9));
  return digits > 0 ? value.toFixed(digits).replace("-", "−") : number(value);
}

/** "14:05", and "21 Nov" at midnight and for steps of days. */
function clock(at: number, step: number): string {
  const date = new Date(Math.round(at));
  const isDay = step >= 86_400_000 || (date.getHours() === 0 && date.getMinutes() === 0);
  return isDay
    ? date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })
    : date.toLocaleTimeString("en-GB", step < 60_000 ? {} : { hour: "2-digit", minute: "2-digit" });
}
