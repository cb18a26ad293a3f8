// The codec bench: what a codec makes of a payload, and what a change to it would make different.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Problem } from "../api";
import { bench, type Codec } from "../bench/api";
import { Payload } from "../bench/payload-card";
import { Script } from "../bench/script-card";
import { type Changed, chosen, first } from "../bench/subject";
import { Empty } from "../components/empty";
import { Trouble } from "../components/problem";
import { href } from "../router";
import { entries } from "../store";
import "./bench.css";

export function Bench({ codec }: { codec: string | undefined }) {
  const list = useSignal<{ codecs: Codec[]; edit: boolean } | undefined>(undefined);
  const trouble = useSignal<Problem | undefined>(undefined);
  const read = () =>
    bench.codecs().then(
      (answer) => (list.value = answer),
      (problem) => (trouble.value = problem as Problem),
    );
  useEffect(() => void read(), []);

  // A list that was read before does: what was written would be gone.
  if (trouble.value && !list.value) return <Trouble of={trouble.value} />;
  if (!list.value || !entries.value) return <p class="muted">Reading the codecs …</p>;
  return <Chosen named={codec} list={list.value} saved={read} />;
}

interface Props {
  named: string | undefined;
  list: { codecs: Codec[]; edit: boolean };
  saved: () => void;
}

function Chosen({ named, list: { codecs, edit }, saved }: Props) {
  const devices = (entries.value ?? []).map((entry) => entry.info.value);
  const choice = useSignal<string | undefined>(undefined);
  /** The script as it was edited; none while it is the one in use. */
  const text = useSignal<Changed | undefined>(undefined);
  /** The line of the script that is wrong. */
  const wrong = useSignal<number | undefined>(undefined);
  // Once something lies there it stays, whatever else appears: somebody may have begun to write.
  const begun = useRef("");
  begun.current ||= first(named, devices, codecs);
  const now = choice.value ?? begun.current;
  const subject = chosen(now, devices, codecs);

  const choose = (value: string) => {
    choice.value = value;
    const codec = chosen(value, devices, codecs)?.codec;
    // The address says what is shown, for whoever comes back; the view stays.
    if (codec !== undefined) history.replaceState(null, "", href.bench(codec));
  };
  return (
    <>
      <header class="row spread">
        <h1>Codecs</h1>
        <label class="row">
          <span class="muted">On the bench</span>
          <select
            class="input subject"
            name="subject"
            value={now}
            onChange={(event) => choose(event.currentTarget.value)}
          >
            <optgroup label="Devices">
              {devices.map(({ name, codec }) => (
                <option key={name} value={`device ${name}`} disabled={!codec}>
                  {name}
                </option>
              ))}
            </optgroup>
            <optgroup label="Codecs">
              {codecs.map(({ name }) => (
                <option key={name} value={`codec ${name}`}>
                  {name}
                </option>
              ))}
            </optgroup>
          </select>
        </label>
      </header>
      {subject ? (
        <div class="bench" key={now}>
          <Payload subject={subject} text={text} wrong={wrong} />
          <Script subject={subject} devices={devices} edit={edit} text={text} wrong={wrong} saved={saved} />
        </div>
      ) : (
        <Empty title="Nothing lies on the bench">
          <p>Choose a codec, or a device that has one.</p>
        </Empty>
      )}
    </>
  );
}
