// What lasted from when to when: availability, switches, texts.
import { count, span, when } from "../format";
import { visible, type Run } from "../series";
import { now } from "../store";
import type { Range } from "./plot";

interface Asked<T> {
  label: string;
  runs: Run<T>[];
  range: Range;
  text: (value: T) => string;
  /** A class that gives the colour. */
  tone: (value: T) => string;
}

/** What is narrower, as a part of the width, cannot be told from what is beside it. */
const NARROWEST = 1 / 250;

export function Timeline<T>({ label, runs, range: [from, to], text, tone }: Asked<T>) {
  const share = (ms: number) => `${(ms / (to - from)) * 100}%`;
  const seen = runs.filter((run) => run.to > from && run.from < to);
  return (
    <div class="timeline" role="img" aria-label={`${label}: ${summed(seen, text)}`}>
      {visible(seen, (to - from) * NARROWEST).map((run) => {
        const start = Math.max(run.from, from);
        const lasted = Math.min(run.to, to) - start;
        const said = run.value === undefined ? "changing" : text(run.value);
        return (
          <span
            key={run.from}
            class={run.value === undefined ? "is-changing" : tone(run.value)}
            style={{ left: share(start - from), width: share(lasted) }}
            title={`${said}, ${when(run.from, now.peek())} for ${span(run.to - run.from)}`}
          >
            {lasted > (to - from) / 14 && said}
          </span>
        );
      })}
    </div>
  );
}

/** How long each value lasted in all. */
function summed<T>(runs: Run<T>[], text: (value: T) => string): string {
  const total = new Map<string, { ms: number; times: number }>();
  for (const { from, to, value } of runs) {
    const of = total.get(text(value)) ?? { ms: 0, times: 0 };
    total.set(text(value), { ms: of.ms + to - from, times: of.times + 1 });
  }
  const said = [...total].map(([name, { ms, times }]) => `${name} for ${span(ms)} in ${count(times, "stretch", "stretches")}`);
  return said.join("; ") || "nothing is known";
}
