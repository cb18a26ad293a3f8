// Events, the newest first.
import type { StoredEvent } from "../api";
import { sentence } from "../events";
import { href } from "../router";
import { Ago } from "./time";

export function EventList({ events, isOfDevice = false }: { events: StoredEvent[]; isOfDevice?: boolean }) {
  return (
    <ol class="events">
      {events.map((event) => {
        const { text, more, tone } = sentence(event);
        return (
          <li key={event.event}>
            <span class={`dot ${tone || "muted"}`} />
            <div>
              {!isOfDevice && <Whose of={event} />}
              <span>{text}</span>
              {more && <p class="muted small">{more}</p>}
            </div>
            <span class="muted small"><Ago at={event.at} /></span>
          </li>
        );
      })}
    </ol>
  );
}

function Whose({ of: { device, application } }: { of: StoredEvent }) {
  if (device) return <a href={href.device(device)}>{device} </a>;
  return application ? <span class="muted">{application}: </span> : null;
}
