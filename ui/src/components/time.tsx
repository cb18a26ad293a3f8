// A time as "5 min ago", which ticks, with the whole of it for those who hover or listen.
import { ago, when } from "../format";
import { now } from "../store";

export function Ago({ at }: { at: string | number | null | undefined }) {
  const then = typeof at === "string" ? Date.parse(at) : (at ?? NaN);
  if (Number.isNaN(then)) return <span class="muted">never</span>;
  return (
    <time dateTime={new Date(then).toISOString()} title={when(then, now.value)}>
      {ago(then, now.value)}
    </time>
  );
}
