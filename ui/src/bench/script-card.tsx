// The script or table of the codec on the bench: look at it, change it, try the change, save it where that is allowed.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Device, Problem } from "../api";
import { useAttempt } from "../components/attempt";
import { Trouble } from "../components/problem";
import { bench, type Source, type Tried } from "./api";
import { Editor } from "./editor";
import type { Subject } from "./subject";
import { TriedView } from "./tried";

interface Props {
  subject: Subject;
  devices: Device[];
  /** Whether codecs may be saved at all. */
  edit: boolean;
  /** The script as it was edited, if it was. */
  text: Signal<string | undefined>;
  wrong: Signal<number | undefined>;
  saved: () => void;
}

export function Script({ subject: { codec, device }, devices, edit, text, wrong, saved }: Props) {
  const source = useSignal<Source | undefined>(undefined);
  const trouble = useSignal<Problem | undefined>(undefined);
  const shown = useSignal("");
  const read = async () => {
    text.value = wrong.value = undefined;
    try {
      source.value = await bench.source(codec);
      shown.value = source.value.text;
    } catch (problem) {
      trouble.value = problem as Problem;
    }
  };
  useEffect(() => void read(), [codec]);
  useEffect(
    () => shown.subscribe((written) => (text.value = written === source.value?.text ? undefined : written)),
    [],
  );
  return (
    <section class="card" aria-labelledby="script">
      <header>
        <h2 id="script">{source.value?.kind === "table" ? "Its table" : "Its script"}</h2>
        {source.value && <span class="badge">{text.value === undefined ? source.value.source : "changed"}</span>}
      </header>
      {trouble.value && <Trouble of={trouble.value} />}
      {source.value && (
        <>
          {source.value.path && <p class="muted small mono">{source.value.path}</p>}
          <Editor label={`Source of ${codec}`} text={shown} wrong={wrong.value} />
          <Trial device={device} devices={devices} text={shown} />
          {edit && (
            <Save
              codec={codec}
              text={shown}
              isChanged={text.value !== undefined}
              saved={() => void read().then(saved)}
            />
          )}
        </>
      )}
    </section>
  );
}

/** Before and after, on a device's last uplinks. */
function Trial({ device, devices, text }: { device: Device | undefined; devices: Device[]; text: Signal<string> }) {
  const of = useSignal((device ?? devices[0])?.name);
  const tried = useSignal<Tried[] | undefined>(undefined);
  const { busy, problem, attempt } = useAttempt();
  const whose = devices.find(({ name }) => name === of.value);
  if (!whose) return null;
  const run = () => attempt(async () => void (tried.value = (await bench.try(whose, text.value)).tried));
  return (
    <div class="stack">
      <div class="row">
        <button type="button" class="button" disabled={busy.value} onClick={run}>
          Try it on the last uplinks of
        </button>
        <select
          class="input subject"
          name="tried-on"
          aria-label="Device whose uplinks it is tried on"
          value={whose.name}
          onChange={(event) => {
            of.value = event.currentTarget.value;
            tried.value = undefined;
          }}
        >
          {devices.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </div>
      {problem.value && <Trouble of={problem.value} />}
      {tried.value && <TriedView of={tried.value} />}
    </div>
  );
}

function Save({
  codec,
  text,
  isChanged,
  saved,
}: {
  codec: string;
  text: Signal<string>;
  isChanged: boolean;
  saved: () => void;
}) {
  const { busy, problem, attempt } = useAttempt();
  const done = useSignal(false);
  const save = async () => {
    done.value = await attempt(async () => void (await bench.save(codec, text.value)));
    if (done.value) saved();
  };
  return (
    <div class="stack">
      <div class="row">
        <button type="button" class="button is-main" disabled={!isChanged || busy.value} onClick={save}>
          Save
        </button>
        <span class="muted" role="status">
          {done.value && !isChanged
            ? "Saved, and in use for the next message."
            : "Saved to your codec folder only if it loads and runs."}
        </span>
      </div>
      {problem.value && <Trouble of={problem.value} />}
    </div>
  );
}
