// Something read from the service, anew whenever what it depends on changes.
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api";
import { oneByOne } from "../late";
import { onMissed } from "../live";

export interface Read<T> {
  value: T | undefined;
  problem: Problem | undefined;
  again: () => void;
}

/** What was read last stays until what is asked now is here. When only `beat` changes, the same is asked again, and not before
 * the answer that is on its way: what changes faster than it is answered would never be seen. */
export function useRead<T>(read: (signal: AbortSignal) => Promise<T>, depends: unknown[], beat?: unknown): Read<T> {
  const [state, setState] = useState<{ value: T | undefined; problem: Problem | undefined }>({ value: undefined, problem: undefined });
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((n) => n + 1);
  const newest = useRef(read);
  newest.current = read;
  const ask = useRef(() => {});
  useEffect(() => onMissed(again), []);
  useEffect(() => {
    const ends = new AbortController();
    ask.current = oneByOne(() =>
      newest.current(ends.signal).then(
        (value) => ends.signal.aborted || setState({ value, problem: undefined }),
        (problem) => ends.signal.aborted || setState((old) => ({ ...old, problem })),
      ),
    );
    return () => ends.abort();
  }, depends);
  useEffect(() => ask.current(), [...depends, beat, turn]);
  return { ...state, again };
}
