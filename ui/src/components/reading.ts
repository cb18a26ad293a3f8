// Something read from the service, anew whenever what it depends on changes.
import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api";
import { onMissed } from "../live";

export interface Read<T> {
  value: T | undefined;
  problem: Problem | undefined;
  again: () => void;
}

/** What was read last stays until what is asked now is here. */
export function useRead<T>(read: (signal: AbortSignal) => Promise<T>, depends: unknown[]): Read<T> {
  const [state, setState] = useState<{ value: T | undefined; problem: Problem | undefined }>({ value: undefined, problem: undefined });
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((n) => n + 1);
  useEffect(() => onMissed(again), []);
  useEffect(() => {
    const ends = new AbortController();
    read(ends.signal).then(
      (value) => ends.signal.aborted || setState({ value, problem: undefined }),
      (problem) => ends.signal.aborted || setState((old) => ({ ...old, problem })),
    );
    return () => ends.abort();
  }, [...depends, turn]);
  return { ...state, again };
}
