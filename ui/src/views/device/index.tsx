// One device: what it says now, what it said, how it is heard, what it can be told.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, query, type Readings } from "../../api";
import { Empty } from "../../components/empty";
import { useEvents } from "../../components/happening";
import type { Range } from "../../components/plot";
import { Trouble } from "../../components/problem";
import { useRead } from "../../components/reading";
import { shown, type Shown } from "../../fields";
import { isPlace, value } from "../../format";
import { href } from "../../router";
import { fitted } from "../../series";
import { byName, entries, now, type Entry } from "../../store";
import { Commands } from "../commands";
import { Codec, Identity } from "./details";
import { Head } from "./head";
import { Happened, Presences } from "./happened";
import { placePath, Position } from "./position";
import { FairUse, RadioPlots } from "./radio";
import { RangeChooser } from "./range";
import { ReadingPlots } from "./readings";
import { changed, rangeOf, type Looked } from "./span";
import { Uplinks } from "./uplinks";

export function DeviceView({ name }: { name: string }) {
  const entry = byName.value.get(name);
  if (entry) return <Known entry={entry} />;
  if (!entries.value) return <p class="muted">Reading …</p>;
  return (
    <Empty title={`No device is called ${name}`}>
      <p>It may have been renamed or removed, or it never reported.</p>
      <a class="button" href={href.overview}>All devices</a>
    </Empty>
  );
}

/** What the plots are drawn from; more would not be seen. */
const POINTS = 600;
/** The list of what happened has the newest. */
const MOST_EVENTS = 200;
/** At most so many columns are asked for. */
const MOST_FIELDS = 40;

function Known({ entry }: { entry: Entry }) {
  const device = entry.info.value;
  const state = entry.state.value;
  const all = shown(device, state);
  const looked = useSignal<Looked>({ span: "24h" });
  // What ends now moves with what is heard, not with the clock.
  const heard = useMemo(() => Date.now(), [state?.last_seen, looked.value]);
  const beat = "range" in looked.value ? 0 : slowed(heard, rangeOf(looked.value, heard));
  const zoom = (to: Range) => (looked.value = { range: changed(to, {}, Date.now()) });
  const fields = wanted(all);
  const [begins, setBegins] = useState<number | undefined>();
  const asked = { ...(begins === undefined ? spanOf(looked.value) : { from: new Date(begins).toISOString() }), points: POINTS };
  const asks = query(asked);
  const readings = useRead((signal) => api.readings(device, { ...asked, fields }, signal), [device.name, fields, asks], beat);
  const radio = useRead((signal) => api.radio(device, asked, signal), [device.name, asks], beat);
  useEffect(() => setBegins(undefined), [looked.value]);
  useEffect(() => setBegins((old) => old ?? beginning(looked.value, readings.value)), [readings.value]);
  const details = useRead((signal) => api.device(device, signal), [device.name], state?.last_seen);
  const events = useEvents({ device: device.name, limit: MOST_EVENTS });
  const place = placePath(state);
  const asIs = rangeOf(looked.value, Math.max(heard, now.peek()));
  const at = "span" in looked.value ? fitted(asIs, first(readings.value)) : asIs;
  return (
    <>
      <Head entry={entry} all={all} />
      <Values all={all} />
      <div class="columns">
        <div class="stack">
          <RangeChooser looked={looked} range={at} />
          {readings.problem && <Trouble of={readings.problem} />}
          {readings.value && <ReadingPlots device={device} readings={readings.value} order={all.map(({ path }) => path)} range={at} onZoom={zoom} />}
          {events.value && <Presences device={device} events={events.value} is={entry.availability.value} looked={looked.value} range={at} />}
          <section class="card radio" aria-labelledby="radio">
            <h2 id="radio">Radio</h2>
            {radio.problem && <Trouble of={radio.problem} />}
            {radio.value && <RadioPlots radio={radio.value} range={at} onZoom={zoom} />}
          </section>
        </div>
        <div class="stack">
          <Commands entry={entry} />
          {place && <Position device={device} readings={readings.value} path={place} />}
          {details.value?.usage && <FairUse usage={details.value.usage} />}
          <Codec device={device} details={details.value} />
          <Happened events={events} />
          <Identity device={device} />
        </div>
      </div>
      <Uplinks device={device} />
    </>
  );
}

/** When a device that is new began to tell, if what was summed up for the whole span has too few points of that. */
function beginning(looked: Looked, readings: Readings | undefined): number | undefined {
  if (!("span" in looked) || !readings?.sampled) return undefined;
  const [from, to] = [Date.parse(readings.from), Date.parse(readings.to)];
  const began = first(readings);
  return began !== undefined && began - from > (to - from) / 2 ? began - (to - from) / POINTS : undefined;
}

function first(readings: Readings | undefined): number | undefined {
  const starts = Object.values(readings?.series ?? {}).flatMap(({ at }) => at.slice(0, 1));
  return starts.length > 0 ? Math.min(...starts) : undefined;
}

/** Drawn anew for what is heard, but the less often the longer the time that is looked at. */
function slowed(heard: number, [from, to]: Range): number {
  return Math.floor(heard / Math.max(2_000, (to - from) / 10_000));
}

function spanOf(looked: Looked): { from: string; to?: string } {
  if ("span" in looked) return { from: looked.span };
  const [from, to] = looked.range.map((at) => new Date(at).toISOString());
  return { from: from ?? "24h", ...(to && { to }) };
}

/** The columns of what is shown; a place has two. */
function wanted(all: Shown[]): string {
  const paths = all.flatMap(({ path, value: is }) => (isPlace(is) ? [`${path}.latitude`, `${path}.longitude`] : [path]));
  return paths.slice(0, MOST_FIELDS).join(",");
}

function Values({ all }: { all: Shown[] }) {
  if (all.length === 0) return null;
  return (
    <ul class="values" aria-label="Now">
      {all.map((one) => {
        const text = value(one.value, one.field);
        return (
          <li key={one.path} title={one.path}>
            <span class="muted small cut">{one.label}</span>
            <strong class={text.length > 9 ? "is-long" : ""}>
              {text}
              {one.unit && typeof one.value === "number" && <small> {one.unit}</small>}
            </strong>
          </li>
        );
      })}
    </ul>
  );
}
