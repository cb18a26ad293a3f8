// What happened, and what may be missing.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { api, type Gap, type StoredEvent } from "../api";
import { Empty } from "../components/empty";
import { useEvents } from "../components/happening";
import { EventList } from "../components/eventlist";
import { Icon } from "../components/icons";
import { Trouble } from "../components/problem";
import { useRead } from "../components/reading";
import { isTwin, sentence, stored } from "../events";
import { count, span, when } from "../format";
import { onTold } from "../live";
import { now } from "../store";

const KINDS = { all: "All", trouble: "Trouble", bridge: "Bridge", device: "Devices" } as const;
const kind = signal<keyof typeof KINDS>("all");
const search = signal("");

/** Read at once; and shown before somebody asks for more. */
const MOST = 1000;
const SHOWN = 100;

export function Events() {
  const { value: all, problem } = useEvents({ limit: MOST });
  const gaps = useRead(() => api.gaps(), []);
  const [most, setMost] = useState(SHOWN);
  useEffect(() => onTold((told) => void (stored(told)?.type.startsWith("gap_") && gaps.again())), []);
  const found = all?.filter(isWanted);
  return (
    <>
      <h1>Events</h1>
      {gaps.problem && <Trouble of={gaps.problem} />}
      {gaps.value && gaps.value.gaps.length > 0 && <Gaps all={gaps.value.gaps} />}
      <section class="card" aria-label="Events">
        <div class="tools">
          <div class="segments" role="group" aria-label="Kind">
            {Object.entries(KINDS).map(([key, text]) => (
              <button key={key} type="button" aria-pressed={kind.value === key} onClick={() => (kind.value = key as keyof typeof KINDS)}>{text}</button>
            ))}
          </div>
          <label class="search">
            <span class="unseen">Search events</span>
            <Icon name="search" size={18} />
            <input class="input" type="search" placeholder="Search" value={search.value} onInput={({ currentTarget }) => (search.value = currentTarget.value)} />
          </label>
        </div>
        {problem && <Trouble of={problem} />}
        {found && found.length > 0 && <EventList events={found.slice(0, most)} />}
        {found && found.length > most && <button type="button" class="button" onClick={() => setMost(most + 4 * SHOWN)}>Older ones</button>}
        {all?.length === 0 && <Empty title="Nothing happened yet"><p>Devices that join or fall silent, gaps, codecs that fail: all that is worth telling is kept here for 30 days.</p></Empty>}
        {found?.length === 0 && all && all.length > 0 && <Empty title="No event is like that" />}
      </section>
    </>
  );
}

function isWanted(event: StoredEvent): boolean {
  if (isTwin(event)) return false;
  const { tone, text, more } = sentence(event);
  const words = [event.device, event.application, event.type, text, more].join(" ").toLowerCase();
  if (!search.value.toLowerCase().split(/\s+/).every((word) => words.includes(word))) return false;
  switch (kind.value) {
    case "trouble":
      return tone === "bad" || tone === "warn";
    case "bridge":
      return event.device === undefined;
    case "device":
      return event.device !== undefined;
    default:
      return true;
  }
}

const TONES = { open: "warn", repaired: "good", lost: "bad" } as const;

/** The open ones; the ended ones on request. */
function Gaps({ all }: { all: Gap[] }) {
  const [isAll, setAll] = useState(false);
  const open = all.filter(({ state }) => state === "open");
  const seen = isAll ? all : open;
  return (
    <section class="card" aria-labelledby="gaps">
      <header>
        <h2 id="gaps">Gaps</h2>
        {open.length < all.length && (
          <button type="button" class="button is-small" aria-pressed={isAll} onClick={() => setAll(!isAll)}>With ended ones</button>
        )}
      </header>
      <p class="small muted">
        {open.length === 0
          ? "Nothing is known to be missing."
          : `In ${count(open.length, "stretch", "stretches")} of time messages may have gone by unheard. The network is asked for them.`}
      </p>
      {seen.length > 0 && (
        <ol class="events">
          {seen.map((gap) => (
            <li key={`${gap.id} ${gap.state}`}>
              <span class={`dot ${TONES[gap.state]}`} />
              <div>
                <span class="muted">{gap.application}: </span>
                {span(Date.parse(gap.to) - Date.parse(gap.from))} from {when(Date.parse(gap.from), now.value)}
                {ended(gap) && <p class="muted small">{ended(gap)}</p>}
              </div>
              <span class={`badge ${TONES[gap.state]}`}>{gap.state}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function ended({ why, reason, repaired, lost }: Gap): string {
  return [why, repaired && `${count(repaired, "uplink")} fetched`, lost && `${count(lost, "frame")} lost`, reason].filter(Boolean).join("; ");
}
