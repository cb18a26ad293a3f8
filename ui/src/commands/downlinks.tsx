// The downlinks of a device, each with its life as a timeline.
import { Trouble } from "../components/problem";
import { useAttempt } from "../components/attempt";
import { hex, when } from "../format";
import { now } from "../store";
import { downlinks } from "./api";
import { ahead, type Downlink, meaning, type Mood, mood, type Step } from "./life";
import type { DownlinkList } from "./list";

export function Downlinks({ list }: { list: DownlinkList }) {
  const items = list.items.value;
  const newest = items?.[0];
  return (
    <div class="stack">
      <p class="unseen" role="status">
        {newest && `Downlink on port ${newest.f_port}: ${newest.state}, ${meaning(newest.state)}`}
      </p>
      {list.trouble.value && <Trouble of={list.trouble.value} />}
      {items?.length === 0 && <p class="muted">Nothing was sent to this device yet.</p>}
      {items?.map((item, place) => (
        <Life key={item.id} downlink={item} shown={item.open || place === 0} take={list.take} />
      ))}
    </div>
  );
}

const COLOURS: Record<Mood, string> = { "under way": "warn", good: "good", bad: "bad", over: "" };

interface Props {
  downlink: Downlink;
  shown: boolean;
  take: (downlink: Downlink) => void;
}

function Life({ downlink, shown, take }: Props) {
  const { busy, problem, attempt } = useAttempt();
  const cancel = () => attempt(async () => take(await downlinks.cancel(downlink)));
  const { state, f_port, payload_hex, confirmed, created_at, open } = downlink;
  return (
    <details class="downlink" open={shown} data-id={downlink.id} data-state={state}>
      <summary>
        <span class={`badge ${COLOURS[mood(downlink)]}`}>{state}</span>
        <code class="cut">{hex(payload_hex)}</code>
        <span class="muted small">
          port {f_port}
          {confirmed && ", confirmed"}
        </span>
        <time class="muted small" dateTime={created_at}>
          {when(Date.parse(created_at), now.value)}
        </time>
      </summary>
      <Timeline downlink={downlink} />
      {open && (
        <button type="button" class="button is-small" disabled={busy.value} onClick={cancel}>
          Cancel
        </button>
      )}
      {problem.value && <Trouble of={problem.value} />}
    </details>
  );
}

function Timeline({ downlink }: { downlink: Downlink }) {
  const { steps, step_count, confirmed } = downlink;
  const left = step_count - steps.length;
  return (
    <ol class="life">
      {steps.map((step, place) => (
        <Passed key={`${step.at} ${step.state}`} step={step} confirmed={confirmed} left={place === 1 ? left : 0} />
      ))}
      {ahead(downlink).map((next) => (
        <li key={`ahead ${next}`} class="is-ahead">
          <span>{next}</span>
          <span class="muted small">to come</span>
        </li>
      ))}
    </ol>
  );
}

/** `left`: steps between the first and this one that are no longer kept. */
function Passed({ step, confirmed, left }: { step: Step; confirmed: boolean; left: number }) {
  const { state, at, reason, hint } = step;
  return (
    <li class={COLOURS[mood({ state, confirmed })]} data-step={state}>
      <span>{state}</span>
      <time class="muted small" dateTime={at}>
        {when(Date.parse(at), now.value)}
      </time>
      <p>
        {reason ?? meaning(state)}
        {hint && <span class="muted"> {hint}</span>}
        {left > 0 && <span class="muted"> ({left} steps before it are no longer kept)</span>}
      </p>
    </li>
  );
}
