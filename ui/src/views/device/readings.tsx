// The device's fields over time, each drawn as what it is.
import type { Device, Field, Readings, Series } from "../../api";
import { Empty } from "../../components/empty";
import { Plot, type Line, type Range } from "../../components/plot";
import { Timeline } from "../../components/timeline";
import { describe } from "../../fields";
import { label, value } from "../../format";
import { gapAfter, runs, type Value } from "../../series";

/** More lines in one plot cannot be told apart. */
const MOST_LINES = 6;

interface Drawn {
  path: string;
  name: string;
  field: Field | undefined;
  unit: string | undefined;
  series: Series;
}

interface Asked {
  device: Device;
  readings: Readings;
  /** Paths in the order in which they are shown. */
  order: string[];
  range: Range;
  onZoom: (range: Range) => void;
}

export function ReadingPlots({ device, readings, order, range, onZoom }: Asked) {
  const all = order.flatMap((path): Drawn[] => {
    const series = readings.series[path];
    if (!series || series.at.length === 0) return [];
    const field = describe(device.fields, path);
    const name = field?.friendly_name && !field.name.endsWith("*") ? field.friendly_name : label(path);
    return [{ path, name, field, unit: series.unit ?? field?.unit ?? undefined, series }];
  });
  if (all.length === 0) {
    return (
      <Empty title="Nothing in this time">
        <p>No uplink of this device was kept from then. Look at a longer time, or wait for its next one.</p>
      </Empty>
    );
  }
  const isSwitch = ({ series, field }: Drawn) => series.kind === "bool" || field?.kind === "binary_sensor";
  const plots = grouped(all.filter((one) => one.series.kind === "number" && !isSwitch(one)));
  const strips = all.filter((one) => one.series.kind === "text" || isSwitch(one));
  return (
    <>
      {plots.map((group) => <NumberPlot key={group[0]?.path} group={group} range={range} onZoom={onZoom} />)}
      {strips.map((one) => <Strip key={one.path} of={one} range={range} />)}
    </>
  );
}

/** Those of one unit and class share a plot; numbers without a unit have nothing in common. */
function grouped(all: Drawn[]): Drawn[][] {
  const groups = new Map<string, Drawn[]>();
  for (const one of all) {
    const kind = one.unit ? `${one.unit} ${one.field?.device_class ?? ""}` : one.path;
    groups.set(kind, [...(groups.get(kind) ?? []), one]);
  }
  return [...groups.values()].flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / MOST_LINES) }, (_, i) => group.slice(i * MOST_LINES, (i + 1) * MOST_LINES)),
  );
}

function NumberPlot({ group, range, onZoom }: { group: Drawn[]; range: Range; onZoom: (range: Range) => void }) {
  const lines = group.map(({ name, series }): Line => ({
    label: name,
    at: series.at,
    value: series.value as Value[],
    min: series.min,
    max: series.max,
  }));
  return (
    <figure class="card chart">
      <Plot lines={lines} unit={group[0]?.unit} range={range} onZoom={onZoom} />
    </figure>
  );
}

/** A truth or a text lasts until the next; a number that stands for a truth is not known over a gap. */
function Strip({ of: { name, field, series }, range }: { of: Drawn; range: Range }) {
  const limit = series.kind === "number" ? gapAfter(series.at) : Infinity;
  const all = runs(series.at, series.value as (string | number | boolean | null)[], range[1], limit);
  const texts = [...new Set(all.map((run) => run.value))];
  const tone = (is: string | number | boolean) => (series.kind === "text" ? `tone-${texts.indexOf(is) % 4}` : isOn(is) ? "is-on" : "is-off");
  return (
    <figure class="card chart">
      <ul class="legend"><li>{name}</li></ul>
      <Timeline label={name} runs={all} range={range} text={(is) => value(is, field)} tone={tone} />
    </figure>
  );
}

function isOn(is: string | number | boolean): boolean {
  return is === true || is === "open" || (typeof is === "number" && is > 0);
}
