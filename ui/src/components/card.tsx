// A device on the overview: its name at once, the rest when it comes near the window.
import { BatteryLevel, Reception } from "./radio";
import { Ago } from "./time";
import { useNear } from "./near";
import { battery, mainNumber, shown, type Shown } from "../fields";
import { number, value } from "../format";
import { href } from "../router";
import { fitted, path } from "../series";
import { DAY, sparkOf } from "../spark";
import { now, type Entry } from "../store";

/** Beside the first one; the device's page has all. */
const SECONDARY = 3;

export function DeviceCard({ entry }: { entry: Entry }) {
  const { ref, was, isNow } = useNear<HTMLLIElement>();
  const { name } = entry.info.value;
  const is = entry.availability.value;
  return (
    <li ref={ref} class={`device ${is === "offline" ? "is-offline" : ""}`}>
      <h3>
        <span class={`dot ${is === "online" ? "good" : is === "offline" ? "bad" : "muted"}`} title={is ?? "unknown"} />
        <a href={href.device(name)} class="cut">
          {name}
          <span class="unseen">, {is ?? "availability unknown"}</span>
        </a>
        {is === "offline" && <span class="badge bad">offline</span>}
        {was && <Charge entry={entry} />}
      </h3>
      {was && <Body entry={entry} isNow={isNow} />}
    </li>
  );
}

function Body({ entry, isNow }: { entry: Entry; isNow: () => boolean }) {
  const device = entry.info.value;
  const state = entry.state.value;
  const all = shown(device, state);
  const first = all[0];
  const main = mainNumber(all);
  const rest = all.slice(1).filter((one) => !one.field?.diagnostic).slice(0, SECONDARY);
  return (
    <>
      {main && main === first && <Sparkline entry={entry} of={main} isNow={isNow} />}
      {first ? (
        <>
          <p class="reading">
            <Reading of={first} />
            <span class="muted small">{first.label}</span>
          </p>
          <ul class="readings">{rest.map((one) => <Secondary key={one.path} of={one} />)}</ul>
        </>
      ) : (
        <p class="muted small quiet">{device.codec?.hint ?? (state ? "Nothing was decoded yet." : "Nothing was heard yet.")}</p>
      )}
      <footer>
        <Ago at={state?.last_seen ?? device.last_seen} />
        {state?.link && <Reception link={state.link} />}
      </footer>
    </>
  );
}

function Charge({ entry }: { entry: Entry }) {
  const state = entry.state.value;
  const level = battery(shown(entry.info.value, state), state);
  return level ? <BatteryLevel of={level} /> : null;
}

function Reading({ of }: { of: Shown }) {
  const text = value(of.value, of.field);
  return (
    <strong class={text.length > 9 ? "is-long" : ""}>
      {text}
      {of.unit && typeof of.value === "number" && <small> {of.unit}</small>}
    </strong>
  );
}

function Secondary({ of }: { of: Shown }) {
  return (
    <li>
      <span class="muted">{of.label}</span>
      <span class="cut">
        {value(of.value, of.field)}
        {of.unit && typeof of.value === "number" && ` ${of.unit}`}
      </span>
    </li>
  );
}

function Sparkline({ entry, of, isNow }: { entry: Entry; of: Shown; isNow: () => boolean }) {
  const spark = sparkOf(entry, of.path, isNow).value;
  if (!spark || spark.at.length < 2) return null;
  // It moves with its newest point, not with the clock: nothing is drawn anew while nothing happens.
  const until = Math.max(spark.at.at(-1) ?? 0, now.peek());
  const range = fitted([until - DAY, until], spark.at[0]);
  const numbers = spark.value.filter((one): one is number => one !== null);
  const said = `${of.label}, last 24 hours: ${number(Math.min(...numbers))} to ${number(Math.max(...numbers))} ${of.unit ?? ""}`;
  return (
    <svg class="spark" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={said}>
      <path class="area" d={path(spark.at, spark.value, range, true)} />
      <path class="line" d={path(spark.at, spark.value, range)} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
