// Which view is shown: the part of the address behind `#`, so that the server needs to know none of them.
import { signal } from "@preact/signals";

export type Route =
  | { view: "overview" }
  | { view: "device"; name: string }
  | { view: "bench"; codec: string | undefined }
  | { view: "gateways" }
  | { view: "events" }
  | { view: "unknown" };

/** The route of a `location.hash`. Names may hold `/`, encoded or not. */
export function parse(hash: string): Route {
  const [view = "", ...rest] = hash.replace(/^#?\/?/, "").split("/");
  const name = decoded(rest.join("/"));
  switch (view) {
    case "":
      return { view: "overview" };
    case "device":
      return name ? { view: "device", name } : { view: "overview" };
    case "bench":
      return { view: "bench", codec: name || undefined };
    case "gateways":
    case "events":
      return { view };
    default:
      return { view: "unknown" };
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view, for `href`. */
export const href = {
  overview: "#/",
  device: (name: string) => `#/device/${encodeURIComponent(name)}`,
  bench: (codec?: string) => (codec ? `#/bench/${encodeURIComponent(codec)}` : "#/bench"),
  gateways: "#/gateways",
  events: "#/events",
};

export const route = signal<Route>({ view: "overview" });

/** Where the long list was left, so that who comes back finds it there. */
let overviewAt = 0;

/** Follows the address from now on. */
export function follow(): void {
  history.scrollRestoration = "manual";
  route.value = parse(location.hash);
  addEventListener("hashchange", () => {
    if (route.value.view === "overview") overviewAt = scrollY;
    route.value = parse(location.hash);
    // Once the view is drawn: its height is another one.
    requestAnimationFrame(() => requestAnimationFrame(arrive));
  });
}

/** A view is read from its beginning, by eye and by screen reader. */
function arrive(): void {
  scrollTo(0, route.value.view === "overview" ? overviewAt : 0);
  document.getElementById("main")?.focus({ preventScroll: true });
}
