// How well a device is heard, and what is left in its battery: bars, with the numbers beside them.
import type { Link } from "../api";
import { quality, type Battery } from "../fields";
import { number } from "../format";

export function Reception({ link }: { link: Link | undefined }) {
  const heard = quality(link?.snr, link?.spreading_factor);
  if (!link || !heard) return <span class="muted small">no gateway heard</span>;
  const { rssi, snr, spreading_factor, gateways } = link;
  const numbers = [
    rssi !== undefined && `RSSI ${number(rssi)} dBm`,
    snr !== undefined && `SNR ${number(snr)} dB`,
    spreading_factor !== undefined && `SF${spreading_factor}`,
    `${gateways} ${gateways === 1 ? "gateway" : "gateways"}`,
  ].filter(Boolean);
  return (
    <span class={`reception is-${heard.bars}`} title={numbers.join(" · ")}>
      <svg width="16" height="14" viewBox="0 0 16 14" aria-hidden="true">
        {[0, 1, 2, 3].map((i) => (
          <rect key={i} x={i * 4.2} y={10 - 3.2 * i} width="3" height={4 + 3.2 * i} rx="1" class={i < heard.bars ? "is-on" : ""} />
        ))}
      </svg>
      <span>
        <span class="unseen">Reception {heard.word}, </span>
        {rssi !== undefined && `${number(Math.round(rssi))} dBm`}
        {spreading_factor !== undefined && ` · SF${spreading_factor}`}
      </span>
    </span>
  );
}

export function BatteryLevel({ of: { text, percent } }: { of: Battery }) {
  const isLow = percent !== undefined && percent <= 20;
  return (
    <span class={`battery ${isLow ? "is-low" : ""}`} title="Battery">
      <svg width="22" height="12" viewBox="0 0 22 12" aria-hidden="true">
        <rect x="0.75" y="0.75" width="17.5" height="10.5" rx="2.5" fill="none" stroke="currentColor" stroke-width="1.5" />
        <path d="M20.5 4v4" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
        {percent !== undefined && <rect x="2.75" y="2.75" height="6.5" rx="1" width={(13.5 * Math.min(100, Math.max(4, percent))) / 100} fill="currentColor" />}
      </svg>
      <span>
        <span class="unseen">Battery {isLow ? "low, " : ""}</span>
        {text}
      </span>
    </span>
  );
}
