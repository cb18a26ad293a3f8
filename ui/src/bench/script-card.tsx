// The script or table of the codec on the bench: look at it, change it, try the change, save it where that is allowed.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Device, Problem } from "../api";
import { useAttempt } from "../components/attempt";
import { Trouble } from "../components/problem";
import { unchanged } from "../late";
import { bench, type Source, type Tried } from "./api";
import { Editor } from "./editor";
import type { Changed, Subject } from "./subject";
import { TriedView } from "./tried";

interface Props {
  subject: Subject;
  devices: Device[];
  /** Whether codecs may be saved at all. */
  edit: boolean;
  /** The script as it was edited, if it was. */
  text: Signal<Changed | undefined>;
  wrong: Signal<number | undefined>;
  saved: () => void;
}

export function Script({ subject: { codec, device }, devices, edit, text, wrong, saved }: Props) {
  const source = useSignal<Source | undefined>(undefined);
  const trouble = useSignal<Problem | undefined>(undefined);
  const shown = useSignal("");
  /** Takes the place of `before` only: what was written meanwhile stays. */
  const read = async (before: string) => {
    wrong.value = undefined;
    try {
      source.value = await bench.source(codec);
      if (shown.value === before) shown.value = source.value.text;
      written(shown.value);
    } catch (problem) {
      trouble.value = problem as Problem;
    }
  };
  useEffect(() => {
    text.value = undefined;
    void read(shown.value);
  }, [codec]);
  const written = (now: string) => {
    const { text: was, kind } = source.value ?? { text: now, kind: "script" };
    text.value = now === was ? undefined : { text: now, kind };
  };
  useEffect(() => shown.subscribe(written), []);
  const now = source.value && { text: shown.value, kind: source.value.kind };
  return (
    <section class="card" aria-labelledby="script">
      <header>
        <h2 id="script">{now?.kind === "table" ? "Its table" : "Its script"}</h2>
        {source.value && <span class="badge">{text.value === undefined ? source.value.source : "changed"}</span>}
      </header>
      {trouble.value && <NoText why={trouble.value} />}
      {source.value && now && (
        <>
          {source.value.path && <p class="muted small mono">{source.value.path}</p>}
          <Editor label={`Source of ${codec}`} text={shown} wrong={wrong.value} />
          <Trial device={device} devices={devices} now={now} />
          {edit && (
            <Save
              codec={codec}
              now={now}
              isChanged={text.value !== undefined}
              saved={(sent) => read(sent).then(saved)}
            />
          )}
        </>
      )}
    </section>
  );
}

/** Some codecs are built in, or read elsewhere: nothing went wrong. */
function NoText({ why }: { why: Problem }) {
  if (why.status !== 422) return <Trouble of={why} />;
  return (
    <p class="muted">
      {why.detail}; {why.hint}.
    </p>
  );
}

/** Before and after, on a device's last uplinks. */
function Trial({ device, devices, now }: { device: Device | undefined; devices: Device[]; now: Changed }) {
  const of = useSignal((device ?? devices[0])?.name);
  const tried = useSignal<Tried[] | undefined>(undefined);
  const { busy, problem, attempt } = useAttempt();
  const whose = devices.find(({ name }) => name === of.value);
  if (!whose) return null;
  const run = () =>
    attempt(async () => {
      const isAsked = unchanged(() => of.value);
      const answer = await bench.try(whose, now.text, now.kind);
      if (isAsked()) tried.value = answer.tried;
    });
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

interface SaveProps {
  codec: string;
  now: Changed;
  isChanged: boolean;
  /** `sent`: the text that is saved now. */
  saved: (sent: string) => Promise<void>;
}

function Save({ codec, now, isChanged, saved }: SaveProps) {
  const name = useSignal(codec);
  const { busy, problem, attempt } = useAttempt();
  /** What became of it. */
  const done = useSignal<{ path: string; error?: string } | undefined>(undefined);
  const save = () =>
    attempt(async () => {
      done.value = undefined;
      done.value = await bench.save(name.value.trim(), now.text, now.kind);
      await saved(now.text);
    });
  return (
    <div class="stack">
      <div class="row">
        <button type="button" class="button is-main" disabled={!isChanged || busy.value} onClick={save}>
          Save as
        </button>
        <input
          class="input subject mono"
          name="save-as"
          aria-label="Name of the codec"
          value={name.value}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
        <span class="muted" role="status">
          {done.value && !done.value.error && !isChanged
            ? `Saved as ${done.value.path}, and in use.`
            : "It is kept in your codec folder, and only if it loads and runs."}
        </span>
      </div>
      {problem.value && <Trouble of={problem.value} />}
      {done.value?.error && <p class="bad">It is saved, and not used: {done.value.error}</p>}
    </div>
  );
}
