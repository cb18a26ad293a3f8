// Answers that come late: what was asked for may be another thing by now. Pure.

/** Tells later whether `look` still sees what it sees now: an answer does not replace what was written meanwhile. */
export function unchanged(look: () => unknown): () => boolean {
  const before = look();
  return () => look() === before;
}

/** Answers may come in another order than they were asked for. To be called with each question; what it returns, with its
 * answer, and tells whether that is news: none is that was asked for before one that came. */
export function inOrder(): () => () => boolean {
  let asked = 0;
  let taken = 0;
  return () => {
    const mine = (asked += 1);
    return () => {
      if (mine < taken) return false;
      taken = mine;
      return true;
    };
  };
}

/** Asks whenever it is called; but once, however often it was called, after the answer that is on its way. */
export function oneByOne(ask: () => Promise<unknown>): () => void {
  let isBusy = false;
  let isWanted = false;
  const next = () => {
    isWanted = isBusy;
    if (isBusy) return;
    isBusy = true;
    void ask().finally(() => {
      isBusy = false;
      if (isWanted) next();
    });
  };
  return next;
}
