// The last uplinks: what came through the air beside what was made of it.
import { useEffect, useState } from "preact/hooks";
import { api, type Device, type Uplink } from "../../api";
import { useAttempt } from "../../components/attempt";
import { Copy } from "../../components/copy";
import { Trouble } from "../../components/problem";
import { useRead } from "../../components/reading";
import { Ago } from "../../components/time";
import { describe, leaves } from "../../fields";
import { hex, label, number, value } from "../../format";
import { onTold } from "../../live";

const PAGE = 10;
/** Told since the list was read; it is read again when there are more. */
const MOST_TOLD = 200;

type Page = { uplinks: Uplink[]; next: number | null };

export function Uplinks({ device }: { device: Device }) {
  const { value: first, problem, again } = useRead((signal) => api.uplinks(device, { limit: PAGE }, signal), [device.name]);
  const [told, setTold] = useState<Uplink[]>([]);
  // Older ones go on where the first ones end: with others, they are read anew.
  const [opened, setOpened] = useState<Page & { of: Page }>();
  const older = opened && opened.of === first ? opened : undefined;
  const { busy, problem: trouble, attempt } = useAttempt();
  // Those that were told while the answer was on its way may not be in it.
  useEffect(() => setTold((old) => old.slice(0, PAGE)), [first]);
  useEffect(() => void (told.length > MOST_TOLD && again()), [told.length]);
  useEffect(
    () =>
      onTold(({ kind, device: name, data }) => {
        if (kind === "uplink" && name === device.name) setTold((old) => [data as Uplink, ...old]);
      }),
    [device.name],
  );
  const next = (older ?? first)?.next;
  const more = (of: Page, before: number) =>
    attempt(async () => {
      const said = await api.uplinks(device, { limit: 2 * PAGE, before });
      setOpened({ of, uplinks: [...(older?.uplinks ?? []), ...said.uplinks], next: said.next });
    });
  const all = newestFirst([...told, ...(first?.uplinks ?? []), ...(older?.uplinks ?? [])]);
  return (
    <section class="card" aria-labelledby="uplinks">
      <h2 id="uplinks">Last uplinks</h2>
      {problem && <Trouble of={problem} />}
      {first && all.length === 0 && <p class="muted">None is kept of this device yet.</p>}
      <ol class="uplinks">{all.map((one) => <UplinkItem key={one.id} device={device} of={one} />)}</ol>
      {trouble.value && <Trouble of={trouble.value} />}
      {first && next != null && <button type="button" class="button" disabled={busy.value} onClick={() => more(first, next)}>Older ones</button>}
    </section>
  );
}

/** Each once: one that was told may have been read too, and one that was fetched later is older than others. */
function newestFirst(all: Uplink[]): Uplink[] {
  return [...new Map(all.map((one) => [one.id, one])).values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

function UplinkItem({ device, of }: { device: Device; of: Uplink }) {
  const { radio, f_port, f_cnt, at } = of;
  const best = radio.gateways[0];
  const marks = [of.backfilled && "fetched later", of.simulated && "simulated", of.confirmed && "confirmed", of.encrypted && "encrypted"];
  return (
    <li>
      <header class="row small">
        <strong><Ago at={at} /></strong>
        <span class="muted">
          {f_port === null || f_port === undefined ? "no port" : `port ${f_port}`} · frame {f_cnt}
          {radio.spreading_factor !== undefined && ` · SF${radio.spreading_factor}`}
          {radio.frequency !== undefined && ` · ${(radio.frequency / 1e6).toFixed(1)} MHz`}
          {best && ` · ${number(best.rssi)} dBm, ${number(best.snr)} dB at ${best.id}`}
          {radio.gateways.length > 1 && ` and ${radio.gateways.length - 1} more`}
        </span>
        {marks.filter(Boolean).map((mark) => <span key={String(mark)} class="badge">{mark}</span>)}
      </header>
      <div class="sides">
        <div class="raw">
          <code>{of.payload_hex ? hex(of.payload_hex) : <span class="muted">no payload</span>}</code>
          {of.payload_hex && <Copy text={of.payload_hex} what="the bytes" />}
        </div>
        <Decoded device={device} of={of} />
      </div>
    </li>
  );
}

function Decoded({ device, of: { fields, codec_error, warnings, codec } }: { device: Device; of: Uplink }) {
  return (
    <div class="decoded">
      {leaves(fields).map(({ path, value: is }) => {
        const field = describe(device.fields, path);
        return (
          <span key={path}>
            <span class="muted" title={path}>{field?.friendly_name && !field.name.endsWith("*") ? field.friendly_name : label(path)}</span>{" "}
            {value(is, field)}
            {field?.unit && typeof is === "number" && ` ${field.unit}`}
          </span>
        );
      })}
      {!fields && !codec_error && <span class="muted">{codec ? `${codec} made nothing of it` : "nothing decodes it"}</span>}
      {codec_error && <span class="bad">{codec_error}</span>}
      {warnings?.map((warning) => <span key={warning} class="warn">{warning}</span>)}
    </div>
  );
}
