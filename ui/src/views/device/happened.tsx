// When the device was there, and what else happened to it.
import { useEffect, useState } from "preact/hooks";
import { api, type Availability, type Device, type StoredEvent } from "../../api";
import { EventList } from "../../components/eventlist";
import type { Range } from "../../components/plot";
import { Trouble } from "../../components/problem";
import { useRead, type Read } from "../../components/reading";
import { Timeline } from "../../components/timeline";
import { isTwin, stored } from "../../events";
import { onTold } from "../../live";
import { presence } from "../../series";

const MOST = 200;

/** The device's events, the newest first, kept true by what is told. */
export function useEvents(device: Device): Read<StoredEvent[]> {
  const read = useRead(() => api.events({ device: device.name, limit: MOST }), [device.name]);
  const [added, setAdded] = useState<StoredEvent[]>([]);
  useEffect(() => setAdded([]), [read.value]);
  useEffect(
    () =>
      onTold((told) => {
        const event = stored(told);
        const name = event?.device ?? told.device;
        if (event && name === device.name) setAdded((old) => [event, ...old].slice(0, MOST));
      }),
    [device.name],
  );
  return { ...read, value: read.value && [...added, ...read.value.events] };
}

export function Presences({ events, is, range }: { events: StoredEvent[]; is: Availability | undefined; range: Range }) {
  const changes = events.flatMap(({ type, at }) =>
    type === "device_offline" || type === "device_online" ? [{ at: Date.parse(at), online: type === "device_online" }] : [],
  );
  if (is === undefined && changes.length === 0) return null;
  const runs = presence(changes, is && is === "online", Math.max(range[0], knownSince(events)), range[1]);
  return (
    <figure class="card chart">
      <ul class="legend"><li>Availability</li></ul>
      <Timeline label="Availability" runs={runs} range={range} text={(online) => (online ? "online" : "offline")} tone={(online) => (online ? "is-good" : "is-bad")} />
    </figure>
  );
}

/** Nothing is known of the time before the device was there, nor before the oldest of a full list. */
function knownSince(events: StoredEvent[]): number {
  const oldest = events.length >= MOST ? events.at(-1) : events.find(({ type }) => type === "device_seen_first");
  return oldest ? Date.parse(oldest.at) : 0;
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
