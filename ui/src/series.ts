// Columns of readings, made ready to be drawn. Pure.

export type Value = number | null;

/** Who has been here for an hour sees that hour, not a day with a line at its end: a time that is empty for more than its
 * first half begins with what there is. */
export function fitted([from, to]: [number, number], first: number | undefined): [number, number] {
  if (first === undefined || first - from < (to - from) / 2) return [from, to];
  return [Math.max(from, Math.min(first, to - SHORTEST)), to];
}

const SHORTEST = 60_000;

/** Points beyond which silence is a gap: four times the usual distance between two. */
export function gapAfter(at: number[]): number {
  if (at.length < 3) return Infinity;
  const steps = at.slice(1).map((time, i) => time - (at[i] ?? time)).sort((a, b) => a - b);
  return 4 * (steps[Math.floor(steps.length / 2)] ?? Infinity);
}

/** Columns with a `null` in the middle of each gap, so that no line is drawn across it. */
export function withGaps(at: number[], columns: Value[][]): { at: number[]; columns: Value[][] } {
  const limit = gapAfter(at);
  const out = { at: [] as number[], columns: columns.map((): Value[] => []) };
  at.forEach((time, i) => {
    const before = at[i - 1];
    if (before !== undefined && time - before > limit) {
      out.at.push((time + before) / 2);
      out.columns.forEach((column) => column.push(null));
    }
    out.at.push(time);
    out.columns.forEach((column, k) => column.push(columns[k]?.[i] ?? null));
  });
  return out;
}

/** Several series on one axis of times: what a series does not have at a time is `undefined`, and its line goes on. */
export function joined(series: { at: number[]; columns: Value[][] }[]): { at: number[]; columns: (Value | undefined)[][] } {
  const at = [...new Set(series.flatMap((one) => one.at))].sort((a, b) => a - b);
  const index = new Map(at.map((time, i) => [time, i]));
  const columns = series.flatMap((one) =>
    one.columns.map((column) => {
      const wide: (Value | undefined)[] = new Array(at.length).fill(undefined);
      one.at.forEach((time, i) => {
        const to = index.get(time);
        if (to !== undefined) wide[to] = column[i] ?? null;
      });
      return wide;
    }),
  );
  return { at, columns };
}

/** At most `most` points: of each bucket of equal time the least and the greatest stay, so that no peak is lost. */
export function thinned(at: number[], value: Value[], most: number): { at: number[]; value: Value[] } {
  const [from, to] = [at[0], at.at(-1)];
  if (at.length <= most || from === undefined || to === undefined || to === from) return { at, value };
  const buckets = Math.max(1, Math.floor(most / 2));
  const kept = new Map<number, [low: number, high: number]>();
  at.forEach((time, i) => {
    const number = value[i];
    if (number === null || number === undefined) return;
    const bucket = Math.min(buckets - 1, Math.floor(((time - from) / (to - from)) * buckets));
    const has = kept.get(bucket);
    if (!has) return void kept.set(bucket, [i, i]);
    if (number < (value[has[0]] ?? Infinity)) has[0] = i;
    if (number > (value[has[1]] ?? -Infinity)) has[1] = i;
  });
  const indices = [...new Set([...kept.values()].flat())].sort((a, b) => a - b);
  return { at: indices.map((i) => at[i] ?? 0), value: indices.map((i) => value[i] ?? null) };
}

/** Least, greatest and mean of what is there. */
export function summary(value: (Value | undefined)[], least = value, greatest = value): { min: number; max: number; mean: number } | undefined {
  const numbers = value.filter((one): one is number => typeof one === "number");
  if (numbers.length === 0) return undefined;
  const fold = (of: (Value | undefined)[], pick: (a: number, b: number) => number) =>
    of.reduce<number | undefined>((all, one) => (typeof one !== "number" ? all : all === undefined ? one : pick(all, one)), undefined);
  const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  return { min: fold(least, Math.min) ?? mean, max: fold(greatest, Math.max) ?? mean, mean };
}

/** A time with one value throughout. */
export interface Run<T> {
  from: number;
  to: number;
  value: T;
}

/** Values as they lasted, the last one until `to`. One lasts over a gap of `limit` and no longer. */
export function runs<T>(at: number[], value: (T | null)[], to: number, limit = Infinity): Run<T>[] {
  const all: Run<T>[] = [];
  at.forEach((from, i) => {
    const own = value[i];
    if (own === null || own === undefined) return;
    const until = Math.min(at[i + 1] ?? to, from + limit);
    const last = all.at(-1);
    if (last && last.value === own && last.to >= from) last.to = until;
    else all.push({ from, to: until, value: own });
  });
  return all;
}

/** Runs as they can be seen: several in a row that are shorter than `least` are one without a value. */
export function visible<T>(runs: Run<T>[], least: number): Run<T | undefined>[] {
  const isShort = ({ from, to }: Run<unknown>) => to - from < least;
  return runs.reduce<Run<T | undefined>[]>((seen, run) => {
    const last = seen.at(-1);
    const isOneOfMany = last && last.to === run.from && isShort(run) && (last.value === undefined || isShort(last));
    if (isOneOfMany) seen[seen.length - 1] = { from: last.from, to: run.to, value: undefined };
    else seen.push(run);
    return seen;
  }, []);
}

/** When a device was there: told by what changed it, the newest first, and by how it is now. */
export function presence(
  changes: { at: number; online: boolean }[],
  isOnline: boolean | undefined,
  from: number,
  to: number,
): Run<boolean>[] {
  const all: Run<boolean>[] = [];
  let until = to;
  let is = isOnline;
  for (const change of changes) {
    if (change.at >= until) {
      is = !change.online;
      continue;
    }
    if (change.at <= from) break;
    all.unshift({ from: change.at, to: until, value: change.online });
    [until, is] = [change.at, !change.online];
  }
  if (is !== undefined && until > from) all.unshift({ from, to: until, value: is });
  return all.reduce<Run<boolean>[]>((merged, run) => {
    const last = merged.at(-1);
    if (last && last.value === run.value && last.to === run.from) last.to = run.to;
    else merged.push(run);
    return merged;
  }, []);
}

/** An SVG path through the points in a box of 100 × 100, in pieces where there are gaps; `fill` closes each down to 100. */
export function path(at: number[], value: Value[], [from, to]: [number, number], fill = false): string {
  const range = summary(value);
  if (!range) return "";
  const margin = (range.max - range.min) * 0.08 || 1;
  const [low, high] = [range.min - margin, range.max + margin];
  const limit = gapAfter(at);
  const pieces: [x: number, y: number][][] = [];
  at.forEach((time, i) => {
    const number = value[i];
    if (number === null || number === undefined) return;
    const point: [number, number] = [((time - from) / (to - from)) * 100, 100 - ((number - low) / (high - low)) * 100];
    if (time - (at[i - 1] ?? -Infinity) > limit || pieces.length === 0) pieces.push([point]);
    else pieces.at(-1)?.push(point);
  });
  const r = (of: number) => Math.round(of * 100) / 100;
  return pieces
    .map((piece) => {
      const line = piece.map(([x, y]) => `${r(x)} ${r(y)}`).join("L");
      // One reading alone is a dot: a line of no length with round ends.
      const [first, last] = [piece[0], piece.at(-1)];
      if (!fill || !first || !last) return `M${line}${piece.length === 1 ? "h0" : ""}`;
      return piece.length > 1 ? `M${r(first[0])} 100L${line}L${r(last[0])} 100Z` : "";
    })
    .join("");
}
