// Fingers on a plot: one moves the time, two stretch it.
import type { Range } from "./plot";

/** Fingers nearer to each other are taken to be as far apart as this, as a part of the width. */
const NEAREST = 0.02;
/** A finger that moves less only points. */
const LEAST = 0.03;

/** The range in which the fingers are still on the times that they were on. Places are parts of the width, the same
 * fingers in both. */
export function held([from, to]: Range, was: number[], is: number[]): Range {
  const middle = (of: number[]) => of.reduce((sum, one) => sum + one, 0) / of.length;
  const apart = (of: number[]) => Math.max(NEAREST, Math.max(...of) - Math.min(...of));
  const length = ((to - from) * apart(was)) / apart(is);
  const start = from + middle(was) * (to - from) - middle(is) * length;
  return [start, start + length];
}

interface Moved {
  /** What is shown now. */
  range: () => Range;
  /** Shows another, as long as the fingers move. */
  show: (range: Range) => void;
  /** The fingers were lifted. */
  done: (range: Range) => void;
}

/** Follows the fingers on an element. What moves up or down is the browser's: the page is scrolled. */
export function followFingers(element: HTMLElement, { range, show, done }: Moved): void {
  const is = new Map<number, number>();
  let was = new Map<number, number>();
  let begun: Range = [0, 0];
  let isMoved = false;
  const now = () => (is.size > 0 ? held(begun, [...was.values()], [...is.values()]) : range());
  /** Begins anew with other fingers, without a jump. */
  const change = (fingers: () => void) => {
    begun = now();
    fingers();
    was = new Map(is);
  };
  const place = ({ clientX }: PointerEvent) => {
    const { left, width } = element.getBoundingClientRect();
    return (clientX - left) / width;
  };
  element.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") change(() => is.set(event.pointerId, place(event)));
  });
  element.addEventListener("pointermove", (event) => {
    const start = was.get(event.pointerId);
    if (start === undefined) return;
    is.set(event.pointerId, place(event));
    isMoved ||= Math.abs(place(event) - start) > LEAST;
    if (isMoved) show(now());
  });
  element.addEventListener("pointerup", (event) => {
    change(() => is.delete(event.pointerId));
    if (is.size > 0 || !isMoved) return;
    isMoved = false;
    done(begun);
  });
  element.addEventListener("pointercancel", () => {
    is.clear();
    was.clear();
    isMoved = false;
    show(range());
  });
}
