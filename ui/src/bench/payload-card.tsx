// A payload, and what the codec on the bench makes of it: at once, while either is written.
import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, Problem } from "../api";
import { useAttempt } from "../components/attempt";
import { Trouble } from "../components/problem";
import { unchanged } from "../late";
import { bench, type Outcome } from "./api";
import { PayloadFields } from "./fields";
import { OutcomeView } from "./outcome";
import { type Encoding, keyOf, lengthOf } from "./payload";
import type { Changed, Subject } from "./subject";

/** Nobody writes faster than this, in ms. */
const PAUSE = 300;

interface Props {
  subject: Subject;
  /** The script as it was edited, if it was. */
  text: Signal<Changed | undefined>;
  wrong: Signal<number | undefined>;
}

export function Payload({ subject: { codec, device }, text, wrong }: Props) {
  const bytes = useSignal("");
  const encoding = useSignal<Encoding>("hex");
  const port = useSignal("");
  const outcome = useSignal<Outcome | undefined>(undefined);
  const refused = useSignal<Problem | undefined>(undefined);
  const { problem, attempt } = useAttempt();

  const written = () => [encoding.value, port.value, bytes.value].join(" ");
  const newest = () =>
    attempt(async () => {
      const isAsBefore = unchanged(written);
      const last = device && (await api.uplinks(device, { limit: 1 })).uplinks[0];
      if (!last || !isAsBefore()) return;
      encoding.value = "hex";
      bytes.value = last.payload_hex;
      port.value = String(last.f_port ?? "");
    });
  useEffect(() => void newest(), []);

  useSignalEffect(() => {
    const length = lengthOf(bytes.value, encoding.value);
    const payload = { f_port: Number(port.value), [keyOf(encoding.value)]: bytes.value };
    const own = device?.codec?.name === codec && { device: device.device_id, application: device.application };
    const subject = text.value ? { codec, ...text.value } : own || { codec };
    if (length === undefined || port.value === "") return;
    const leave = new AbortController();
    const ask = () =>
      bench.test(subject, payload, leave.signal).then(
        (answer) => take(answer, undefined),
        (error: unknown) => error instanceof Problem && take(undefined, error),
      );
    const soon = setTimeout(ask, PAUSE);
    return () => {
      clearTimeout(soon);
      leave.abort();
    };
  });
  const take = (answer: Outcome | undefined, problem: Problem | undefined) => {
    outcome.value = answer;
    refused.value = problem;
    wrong.value = answer?.line;
  };
  const trouble = refused.value ?? problem.value;
  return (
    <section class="card" aria-labelledby="payload">
      <header>
        <h2 id="payload">A payload</h2>
        {device && (
          <button type="button" class="button is-small" onClick={newest}>
            The newest of {device.name}
          </button>
        )}
      </header>
      <PayloadFields name="bench" text={bytes} encoding={encoding} port={port} />
      {trouble && <Trouble of={trouble} />}
      {outcome.value ? (
        <OutcomeView of={outcome.value} />
      ) : (
        <p class="muted">Paste a payload and its port: what the codec makes of it is shown here.</p>
      )}
    </section>
  );
}
