// What the device is called, and how it is.
import { useState } from "preact/hooks";
import { api, type Device } from "../../api";
import { useAttempt } from "../../components/attempt";
import { Presence } from "../../components/availability";
import { Icon } from "../../components/icons";
import { Trouble } from "../../components/problem";
import { BatteryLevel, Reception } from "../../components/radio";
import { Ago } from "../../components/time";
import { battery, type Shown } from "../../fields";
import { count, span } from "../../format";
import { unchanged } from "../../late";
import { href, route } from "../../router";
import { readDevices, type Entry } from "../../store";

export function Head({ entry, all }: { entry: Entry; all: Shown[] }) {
  const device = entry.info.value;
  const state = entry.state.value;
  const charge = battery(all, state);
  const [isNaming, setNaming] = useState(false);
  return (
    <header class="head">
      <div class="row spread">
        <a class="small row back" href={href.overview}><Icon name="back" size={16} /> All devices</a>
        {!isNaming && <button type="button" class="button is-quiet is-small" onClick={() => setNaming(true)}>Rename</button>}
      </div>
      {isNaming ? (
        <Naming device={device} end={() => setNaming(false)} />
      ) : (
        <div class="row">
          <h1>{device.name}</h1>
          <Presence is={entry.availability.value} />
        </div>
      )}
      <p class="row muted small">
        <span>Last seen <Ago at={state?.last_seen ?? device.last_seen} />{device.interval_s !== undefined && `, usually every ${span(device.interval_s * 1000)}`}</span>
        {state?.link && <Reception link={state.link} />}
        {state?.link && state.link.gateways > 0 && <span>{count(state.link.gateways, "gateway")}</span>}
        {charge && <BatteryLevel of={charge} />}
      </p>
    </header>
  );
}

function focus(input: HTMLInputElement | null): void {
  input?.focus();
}

/** Its topics move with the name, and so does this page. */
function Naming({ device, end }: { device: Device; end: () => void }) {
  const [to, setTo] = useState(device.name);
  const { busy, problem, attempt } = useAttempt();
  const rename = (event: Event) => {
    event.preventDefault();
    const isStillHere = unchanged(() => route.value);
    void attempt(async () => {
      await api.rename(device, to);
      await readDevices();
      if (isStillHere()) location.replace(href.device(to));
    });
  };
  return (
    <form class="stack" onSubmit={rename}>
      <div class="row">
        <label>
          <span class="unseen">Name at home</span>
          <input class="input" value={to} required ref={focus} onInput={({ currentTarget }) => setTo(currentTarget.value)} onKeyDown={({ key }) => key === "Escape" && end()} />
        </label>
        <button type="submit" class="button is-main" disabled={to === "" || to === device.name || busy.value}>Rename</button>
        <button type="button" class="button is-quiet" onClick={end}>Leave it</button>
      </div>
      <p class="small muted">Its topics and entities get the new name. A <code>/</code> makes levels, such as <code>garden/soil</code>.</p>
      {problem.value && <Trouble of={problem.value} />}
    </form>
  );
}
