// Whether something is, or was, about to be seen: what is far down a long page is drawn when somebody comes near.
import { useEffect, useRef, useState } from "preact/hooks";

const callbacks = new WeakMap<Element, (isNear: boolean) => void>();
let observer: IntersectionObserver | undefined;

function observe(element: Element, callback: (isNear: boolean) => void): () => void {
  observer ??= new IntersectionObserver(
    (seen) => seen.forEach(({ target, isIntersecting }) => callbacks.get(target)?.(isIntersecting)),
    { rootMargin: "600px 0px" },
  );
  callbacks.set(element, callback);
  observer.observe(element);
  return () => observer?.unobserve(element);
}

/** A ref for the element, whether it was near so far, and a function that tells whether it is now. */
export function useNear<E extends Element>() {
  const ref = useRef<E>(null);
  const now = useRef(false);
  const [was, setWas] = useState(false);
  useEffect(() => {
    if (!ref.current) return undefined;
    return observe(ref.current, (isNear) => {
      now.current = isNear;
      if (isNear) setWas(true);
    });
  }, []);
  return { ref, was, isNow: () => now.current };
}
