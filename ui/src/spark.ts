// The last day of each device's main number, read when its card is first seen, a few at a time, and lengthened by what comes.
import { effect, signal, type Signal } from "@preact/signals";
import { api, type State } from "./api";
import { at as valueAt } from "./fields";
import { onMissed } from "./live";
import { thinned, type Value } from "./series";
import type { Entry } from "./store";

export interface Spark {
  at: number[];
  value: Value[];
  /** What one point stands for, in ms; 0 if each is a reading. */
  step: number;
}

export const DAY = 86_400_000;
/** More points than a card has pixels are not seen. */
const POINTS = 96;
/** A device that is new has told so little of a day that its points are too few: then less of the day is looked at. */
const SPANS = { "24h": DAY, "1h": DAY / 24, "5m": DAY / 288 };
const FEW = 12;
/** Asked for at a time: the service has more to do. */
const AT_ONCE = 4;

interface Kept {
  path: string;
  spark: Signal<Spark | undefined>;
  /** Ends what lengthens it. */
  end: () => void;
}

const kept = new Map<string, Kept>();
const waiting: (() => Promise<void>)[] = [];
let running = 0;

// What was missed while away is in no event that will come.
onMissed(() => [...kept.keys()].forEach(forget));

/** The sparkline of a field; `isWanted` is asked when its turn comes. */
export function sparkOf(entry: Entry, path: string, isWanted: () => boolean): Signal<Spark | undefined> {
  const has = kept.get(entry.key);
  if (has?.path === path) return has.spark;
  forget(entry.key);
  const spark = signal<Spark | undefined>(undefined);
  kept.set(entry.key, { path, spark, end: () => {} });
  waiting.push(() => read(entry, path, spark, isWanted));
  work();
  return spark;
}

function work(): void {
  while (running < AT_ONCE) {
    // Whoever scrolls fast wants the last ones first.
    const next = waiting.pop();
    if (!next) return;
    running += 1;
    void next().finally(() => {
      running -= 1;
      work();
    });
  }
}

function forget(key: string): void {
  kept.get(key)?.end();
  kept.delete(key);
}

async function read(entry: Entry, path: string, spark: Signal<Spark | undefined>, isWanted: () => boolean): Promise<void> {
  const own = () => kept.get(entry.key)?.spark === spark;
  if (!own()) return;
  if (!isWanted()) return forget(entry.key);
  try {
    spark.value = await newest(entry, path);
    const has = kept.get(entry.key);
    if (has?.spark === spark) has.end = lengthen(entry, path, spark);
  } catch {
    if (own()) forget(entry.key); // The next time the card is drawn it is asked for again.
  }
}

async function newest(entry: Entry, path: string): Promise<Spark> {
  let spark: Spark = { at: [], value: [], step: 0 };
  for (const [from, length] of Object.entries(SPANS)) {
    const { series, sampled } = await api.readings(entry.info.peek(), { fields: path, from, points: POINTS });
    const numbers = series[path]?.kind === "number" ? series[path] : undefined;
    if (!numbers || numbers.at.length < spark.at.length) break;
    spark = { at: numbers.at, value: numbers.value as Value[], step: sampled ? length / POINTS : 0 };
    if (!sampled || numbers.at.length >= FEW) break;
  }
  return spark;
}

/** Adds what comes from now on, until the returned function is called. */
function lengthen(entry: Entry, path: string, spark: Signal<Spark | undefined>): () => void {
  return effect(() => {
    const state = entry.state.value;
    const before = spark.peek();
    if (!state?.last_seen || !before) return;
    const added = append(before, Date.parse(state.last_seen), valueAt(state as State, path));
    if (added !== before) spark.value = added;
  });
}

/** The same with a newer point, without what is older than a day. Points stay as far apart as they were. */
export function append(spark: Spark, time: number, value: unknown): Spark {
  const last = spark.at.at(-1);
  if (typeof value !== "number" || (last !== undefined && time <= last)) return spark;
  const first = spark.at.findIndex((old) => old >= time - DAY);
  const from = first < 0 ? spark.at.length : first;
  const to = time - (spark.at.at(-2) ?? -Infinity) < spark.step ? -1 : spark.at.length;
  return { ...thinned([...spark.at.slice(from, to), time], [...spark.value.slice(from, to), value], 3 * POINTS), step: spark.step };
}
