// When the device was there, and what else happened to it.
import { useState } from "preact/hooks";
import { api, type Availability, type Device, type StoredEvent } from "../../api";
import { EventList } from "../../components/eventlist";
import type { Range } from "../../components/plot";
import { Trouble } from "../../components/problem";
import { useRead, type Read } from "../../components/reading";
import { Timeline } from "../../components/timeline";
import { isTwin } from "../../events";
import { presence } from "../../series";
import { rangeOf, type Looked } from "./span";

/** The most that one answer has; of the 10,000 events that are kept it needs ten. */
const PAGE = 1000;

interface Asked {
  device: Device;
  /** The newest events of the device, kept true by what is told. */
  events: StoredEvent[];
  is: Availability | undefined;
  looked: Looked;
  range: Range;
}

export function Presences({ device, events, is, range, looked }: Asked) {
  const newest = events.find(isChange)?.event;
  const read = (signal: AbortSignal) => noticesSince(rangeOf(looked, Date.now())[0], device, signal);
  const { value: told, problem } = useRead(read, [device.name, looked, newest]);
  if (!told) return problem ? <Trouble of={problem} /> : null;
  const changes = told.events.filter(isChange).map(({ type, at }) => ({ at: Date.parse(at), online: type === "device_online" }));
  if (is === undefined && changes.length === 0) return null;
  // Nothing is known of the time before the device was there, nor of that of which not all is kept.
  const begins = told.events.find(({ type }) => type === "device_seen_first");
  const from = Math.max(range[0], told.since, begins ? Date.parse(begins.at) : 0);
  const runs = presence(changes, is && is === "online", from, range[1]);
  return (
    <figure class="card chart">
      <ul class="legend"><li>Availability</li></ul>
      <Timeline label="Availability" runs={runs} range={range} text={(online) => (online ? "online" : "offline")} tone={(online) => (online ? "is-good" : "is-bad")} />
    </figure>
  );
}

function isChange({ type }: StoredEvent): boolean {
  return type === "device_offline" || type === "device_online";
}

/** What the bridge told of a device since then, and somewhat more, the newest first; and since when all of it is kept. */
async function noticesSince(from: number, { name }: Device, signal: AbortSignal): Promise<{ events: StoredEvent[]; since: number }> {
  const all: StoredEvent[] = [];
  for (;;) {
    const before = all.at(-1)?.event;
    const asked = { device: name, kind: "bridge", limit: PAGE, ...(before !== undefined && { before }) };
    const { events, since } = await api.events(asked, signal);
    all.push(...events);
    const last = events.at(-1);
    if (!last || events.length < PAGE || Date.parse(last.at) < from) return { events: all, since: Date.parse(since) };
  }
}

/** A page has room for these; the view of events has all. */
const SHOWN = 8;

export function Happened({ events }: { events: Read<StoredEvent[]> }) {
  const [isAll, setAll] = useState(false);
  const { problem } = events;
  const value = events.value?.filter((event) => !isTwin(event));
  return (
    <section class="card" aria-labelledby="happened">
      <h2 id="happened">Events</h2>
      {problem && <Trouble of={problem} />}
      {value?.length === 0 && <p class="muted">Nothing worth telling happened in the last days.</p>}
      {value && <EventList events={isAll ? value : value.slice(0, SHOWN)} isOfDevice />}
      {value && value.length > SHOWN && !isAll && <button type="button" class="button is-small" onClick={() => setAll(true)}>All {value.length}</button>}
    </section>
  );
}
