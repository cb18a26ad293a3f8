// How the device was heard over time, what was lost, and what it used of the air.
import type { RadioHistory, Usage } from "../../api";
import { Plot, type Line, type Range } from "../../components/plot";
import { count, number } from "../../format";
import type { Value } from "../../series";

/** Those that heard most are shown: beyond six, lines cannot be told apart. */
const MOST_GATEWAYS = 6;

export function RadioPlots({ radio, range, onZoom }: { radio: RadioHistory; range: Range; onZoom: (range: Range) => void }) {
  const gateways = Object.entries(radio.gateways).sort(([, a], [, b]) => b.at.length - a.at.length);
  const lines = (of: "rssi" | "snr") => gateways.slice(0, MOST_GATEWAYS).map(([id, heard]): Line => ({ label: id, at: heard.at, value: heard[of] as Value[] }));
  const { spreading_factor: factor, lost, airtime } = radio;
  const frames = lost.value.reduce((sum, one) => sum + one, 0);
  const shared = { range, onZoom, height: 130 };
  if (gateways.length === 0 && factor.at.length === 0) return <p class="muted">Nothing was heard in this time.</p>;
  return (
    <>
      {gateways.length > 0 && (
        <>
          <h3>RSSI</h3>
          <Plot {...shared} lines={lines("rssi")} unit="dBm" />
          <h3>SNR</h3>
          <Plot {...shared} lines={lines("snr")} unit="dB" />
        </>
      )}
      {gateways.length > MOST_GATEWAYS && <p class="small muted">and {count(gateways.length - MOST_GATEWAYS, "gateway")} more</p>}
      {factor.at.length > 0 && (
        <>
          <h3>Spreading factor</h3>
          <Plot {...shared} height={100} shape="step" lines={[{ label: "SF", at: factor.at, value: factor.value }]} unit={undefined} />
        </>
      )}
      <h3>Lost frames <span class={frames ? "warn" : "muted"}>{frames ? count(frames, "frame") : "none"}</span></h3>
      {frames > 0 && <Plot {...shared} height={100} shape="bar" lines={[{ label: "Lost before that uplink", at: lost.at, value: lost.value }]} unit={undefined} />}
      {airtime.at.length > 1 && (
        <>
          <h3>Airtime of each day</h3>
          <Days at={airtime.at} value={airtime.value} />
        </>
      )}
    </>
  );
}

const AIRTIME_A_DAY = 30;

/** Bars against fair use: the line is at its limit. */
function Days({ at, value }: { at: number[]; value: number[] }) {
  const most = Math.max(AIRTIME_A_DAY, ...value) * 1.1;
  const day = (ms: number) => new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  return (
    <ol class="days" style={{ "--limit": `${(AIRTIME_A_DAY / most) * 100}%` }}>
      {at.slice(-31).map((ms, i) => {
        const seconds = value.slice(-31)[i] ?? 0;
        return (
          <li key={ms} title={`${day(ms)}: ${number(seconds)} s`}>
            <span class={seconds > AIRTIME_A_DAY ? "is-over" : ""} style={{ height: `${(seconds / most) * 100}%` }} />
            <span class="unseen">{day(ms)}: {number(seconds)} s</span>
          </li>
        );
      })}
    </ol>
  );
}

/** The Things Network's fair use policy: 30 s of airtime up and 10 messages down a day. */
export function FairUse({ usage }: { usage: Usage }) {
  return (
    <section class="card" aria-labelledby="fair-use">
      <header>
        <h2 id="fair-use">Fair use today</h2>
        <span class="small muted">UTC day {usage.day}</span>
      </header>
      <Meter name="Airtime" is={usage.airtime_s} limit={usage.airtime_limit_s} unit="s" />
      <Meter name="Downlinks" is={usage.downlinks} limit={usage.downlinks_limit} unit="" />
    </section>
  );
}

function Meter({ name, is, limit, unit }: { name: string; is: number; limit: number; unit: string }) {
  const share = limit > 0 ? is / limit : 0;
  const tone = share > 1 ? "is-bad" : share >= 0.8 ? "is-warn" : "";
  const text = `${number(is)} of ${number(limit)} ${unit}`.trim();
  return (
    <div class={`meter ${tone}`}>
      <span>{name}</span>
      <span>
        {text}
        {share > 1 && " · used up"}
      </span>
      <div role="meter" aria-label={name} aria-valuemin={0} aria-valuemax={limit} aria-valuenow={Math.min(is, limit)} aria-valuetext={text}>
        <i style={{ width: `${Math.min(1, share) * 100}%` }} />
      </div>
    </div>
  );
}
