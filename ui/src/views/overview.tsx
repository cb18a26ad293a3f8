// Everything at a glance: the applications, then every device.
import { computed, signal } from "@preact/signals";
import type { Application } from "../api";
import { DeviceCard } from "../components/card";
import { Empty } from "../components/empty";
import { Icon } from "../components/icons";
import { Ago } from "../components/time";
import { battery, quality, shown } from "../fields";
import { count } from "../format";
import { href } from "../router";
import { applications, entries, now, type Entry } from "../store";

const ORDERS = {
  name: "Name",
  seen: "Last seen",
  reception: "Weakest reception",
  battery: "Lowest battery",
} as const;
type Order = keyof typeof ORDERS;

const search = signal("");
const order = signal<Order>("name");
const offlineOnly = signal(false);

/** What a search is made in: name, ids, model, codec. */
function words({ info }: Entry): string {
  const { name, application, device_id, dev_eui, version_ids, codec } = info.value;
  return [name, application, device_id, dev_eui, version_ids?.brand_id, version_ids?.model_id, codec?.name].join(" ").toLowerCase();
}

const found = computed(() => {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (entry: Entry) => wanted.every((word) => words(entry).includes(word));
  const isIn = (entry: Entry) => !offlineOnly.value || entry.availability.value === "offline";
  return (entries.value ?? []).filter((entry) => isIn(entry) && matches(entry));
});

/** In order as of the last tick: cards that jump about at each reading cannot be read. */
const ordered = computed(() => {
  const by = order.value;
  if (by === "name") return found.value;
  void now.value;
  const keys = new Map(found.value.map((entry) => [entry, sortKey(entry, by)]));
  return [...found.value].sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
});

function sortKey({ info, state }: Entry, by: Exclude<Order, "name">): number {
  const is = state.peek();
  if (by === "seen") return -Date.parse(is?.last_seen ?? info.peek().last_seen ?? "1970-01-01");
  if (by === "battery") return battery(shown(info.peek(), is), is)?.percent ?? 101;
  const { snr, spreading_factor } = is?.link ?? {};
  return snr === undefined ? Infinity : (quality(snr, spreading_factor)?.bars ?? 0) * 100 + snr;
}

export function Overview() {
  if (!entries.value) return <p class="muted">Reading …</p>;
  const all = applications.value.applications;
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <section aria-label="Applications" class="applications">
        {all.map((one) => <ApplicationCard key={one.name} of={one} />)}
      </section>
      <section aria-label="Devices" class="stack">
        {entries.value.length > 0 ? <Devices /> : <NoDevices />}
      </section>
    </>
  );
}

function Devices() {
  const [all, offline] = [entries.value ?? [], entries.value?.filter(({ availability }) => availability.value === "offline").length ?? 0];
  const list = ordered.value;
  return (
    <>
      <div class="tools">
        <label class="search">
          <span class="unseen">Search devices</span>
          <Icon name="search" size={18} />
          <input class="input" type="search" placeholder="Search" value={search.value} onInput={({ currentTarget }) => (search.value = currentTarget.value)} />
        </label>
        <label class="sort">
          <span class="unseen">Order by</span>
          <select class="input" value={order.value} onChange={({ currentTarget }) => (order.value = currentTarget.value as Order)}>
            {Object.entries(ORDERS).map(([key, text]) => <option key={key} value={key}>{text}</option>)}
          </select>
        </label>
        <button type="button" class="button" aria-pressed={offlineOnly.value} onClick={() => (offlineOnly.value = !offlineOnly.value)}>
          Offline only
        </button>
        <p class="muted small">
          {list.length === all.length ? count(all.length, "device") : `${list.length} of ${count(all.length, "device")}`}
          {offline > 0 && <span class="bad"> · {offline} offline</span>}
        </p>
      </div>
      {list.length > 0 ? (
        <ul class="devices">{list.map((entry) => <DeviceCard key={entry.key} entry={entry} />)}</ul>
      ) : (
        <Empty title={offlineOnly.value && !search.value ? "Every device is heard from" : "No device is like that"}>
          <button type="button" class="button" onClick={showAll}>Show all</button>
        </Empty>
      )}
    </>
  );
}

function showAll(): void {
  search.value = "";
  offlineOnly.value = false;
}

function NoDevices() {
  const isDown = applications.value.applications.some(({ connected }) => !connected);
  return (
    <Empty title="No device has reported yet">
      <p>A device appears here with its first message. Nothing needs to be configured for it.</p>
      <p>
        {isDown
          ? "An application is not connected: see above what to do about it."
          : "If one should have been heard by now: look in the console of The Things Network whether its uplinks arrive there."}
      </p>
      <a class="button" href={href.events}>What happened so far</a>
    </Empty>
  );
}

/** Messages that are just on their way. */
const USUAL = 50;

function ApplicationCard({ of }: { of: Application }) {
  const { name, connected, last_message, backlog, gaps_open, dropped, degraded, devices } = of;
  return (
    <article class="application">
      <header class="row spread">
        <h2 class="cut">{name}</h2>
        <span class={`badge ${connected ? "good" : "bad"}`}>
          <span class="dot" />
          {connected ? "connected" : "not connected"}
        </span>
      </header>
      <dl>
        <Figure name="Last message"><Ago at={last_message} /></Figure>
        <Figure name="Devices">{devices}</Figure>
        <Figure name="Backlog" tone={backlog > USUAL ? "warn" : undefined}>{backlog}</Figure>
        <Figure name="Gaps" tone={gaps_open ? "warn" : undefined}>
          {gaps_open ? <a href={href.events}>{gaps_open} open</a> : 0}
        </Figure>
        {dropped > 0 && <Figure name="Dropped" tone="bad">{dropped}</Figure>}
      </dl>
      {degraded.map((text) => <p key={text} class="warn small">{text}</p>)}
    </article>
  );
}

function Figure({ name, tone, children }: { name: string; tone?: string | undefined; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={tone}>{children}</dd>
    </div>
  );
}
