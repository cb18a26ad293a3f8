// Which gateways hear us, how well, and where they are.
import { useEffect } from "preact/hooks";
import { api, type Gateway } from "../api";
import { Empty } from "../components/empty";
import { PlaceMap, type Mark } from "../components/map";
import { Trouble } from "../components/problem";
import { useRead } from "../components/reading";
import { Ago } from "../components/time";
import { count, number } from "../format";
import { onTold } from "../live";
import { href } from "../router";

/** Those that heard nothing for longer are of no use to us. */
const SINCE = "7d";
/** Read anew at most this often while uplinks come in. */
const REFRESH = 15_000;
/** More names than this say nothing. */
const MOST_DEVICES = 12;

export function Gateways() {
  const { value, problem, again } = useRead(() => api.gateways(SINCE), []);
  useEffect(() => {
    let waits: ReturnType<typeof setTimeout> | undefined;
    const reread = () => {
      waits = undefined;
      again();
    };
    const end = onTold(({ kind }) => {
      if (kind === "uplink") waits ??= setTimeout(reread, REFRESH);
    });
    return () => {
      clearTimeout(waits);
      end();
    };
  }, []);
  const all = value?.gateways ?? [];
  const located = all.flatMap(({ id, location }): Mark[] => (location ? [{ name: id, ...location }] : []));
  return (
    <>
      <h1>Gateways</h1>
      {problem && <Trouble of={problem} />}
      {!value && !problem && <p class="muted">Reading …</p>}
      {value && all.length === 0 && (
        <Empty title="No gateway was heard of yet">
          <p>Each uplink tells which gateways received it. Those of the last seven days appear here.</p>
        </Empty>
      )}
      {all.length > 0 && (
        <div class="columns">
          <ul class="gateway-list">{all.map((one) => <GatewayCard key={one.id} of={one} />)}</ul>
          {located.length > 0 && (
            <section class="card" aria-label="Map">
              <PlaceMap track={[]} gateways={located} label={`Where ${count(located.length, "gateway")} are`} />
              {located.length < all.length && <p class="small muted">The others' owners do not tell where they are.</p>}
            </section>
          )}
        </div>
      )}
    </>
  );
}

function GatewayCard({ of }: { of: Gateway }) {
  const { id, eui, last_seen, uplinks, devices, best_rssi, best_snr } = of;
  return (
    <li class="card">
      <header>
        <h2 class="cut">{id}</h2>
        <span class="small muted"><Ago at={last_seen} /></span>
      </header>
      <dl class="pairs small">
        {eui && <><dt>EUI</dt><dd><code>{eui}</code></dd></>}
        <dt>Uplinks</dt><dd>{count(uplinks, "", "").trim()}</dd>
        <dt>At best</dt>
        <dd>
          {typeof best_rssi === "number" ? `${number(best_rssi)} dBm` : "–"}
          {typeof best_snr === "number" && `, ${number(best_snr)} dB`}
        </dd>
        <dt>Hears</dt>
        <dd class="links">
          {devices.slice(0, MOST_DEVICES).map((name) => <a key={name} href={href.device(name)}>{name}</a>)}
          {devices.length > MOST_DEVICES && <span class="muted">and {devices.length - MOST_DEVICES} more</span>}
        </dd>
      </dl>
    </li>
  );
}
