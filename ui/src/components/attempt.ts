// One attempt at a time to send something, and what came of it.

import { useSignal } from "@preact/signals";
import { Problem } from "../api";

/** Whether something is under way, why the last one was refused, and how to try another. */
export function useAttempt() {
  const busy = useSignal(false);
  const problem = useSignal<Problem | undefined>(undefined);
  /** Resolves to whether it went well. A second one while the first is under way is not made. */
  const attempt = async (work: () => Promise<void>): Promise<boolean> => {
    if (busy.value) return false;
    busy.value = true;
    problem.value = undefined;
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem.value = error;
      return false;
    } finally {
      busy.value = false;
    }
  };
  return { busy, problem, attempt };
}
