// What the check found, one line for each part of the way.
import type { Finding } from "./api";

const COLOURS = { ok: "good", warning: "warn", failed: "bad", skipped: "" };

export function Findings({ of }: { of: Finding[] }) {
  return (
    <ul class="findings" aria-label="What was found">
      {of.map(({ subject, leg, status, detail, hint }, place) => (
        <li key={place} data-status={status}>
          <span class={`badge ${COLOURS[status]}`}>{status}</span>
          <p>
            <strong>
              {subject}: {leg}
            </strong>{" "}
            {detail}
          </p>
          {hint && <p class="muted">{hint}</p>}
        </li>
      ))}
    </ul>
  );
}
