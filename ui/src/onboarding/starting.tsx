// The configuration is written: the page that asked for it ends, and the bridge's own takes its place.
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { enter } from "../store";

/** How often it is looked for, in ms. */
const PAUSE = 500;

export function Starting({ path }: { path: string }) {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const look = () =>
      api.session().then(
        () => void enter(),
        () => (timer = setTimeout(look, PAUSE)),
      );
    timer = setTimeout(look, PAUSE);
    return () => clearTimeout(timer);
  }, []);
  return (
    <p class="card" role="status">
      <span>
        Written to <code>{path}</code>. ttn-ferry starts …
      </span>
    </p>
  );
}
