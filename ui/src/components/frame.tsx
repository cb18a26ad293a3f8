// What is around every view: the bar, the ways to the views, what is to be said of the connection.
import type { ComponentChildren } from "preact";
import { api } from "../api";
import { connection, version } from "../live";
import { href, route } from "../router";
import { announcement, enter, session, theme, trouble } from "../store";
import { Icon, type IconName } from "./icons";
import { Trouble } from "./problem";

const WAYS: { view: string; to: string; text: string; icon: IconName; also?: string }[] = [
  { view: "overview", to: href.overview, text: "Overview", icon: "overview", also: "device" },
  { view: "gateways", to: href.gateways, text: "Gateways", icon: "gateways" },
  { view: "events", to: href.events, text: "Events", icon: "events" },
  { view: "bench", to: href.bench(), text: "Codecs", icon: "bench" },
];

export function Frame({ children }: { children: ComponentChildren }) {
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>Skip to the content</a>
      <header class="bar">
        <div>
          <a class="brand" href={href.overview}>
            <img src="icon.svg" alt="" width="28" height="28" />
            <span>ttn-ferry</span>
          </a>
          <Ways />
          <ThemeSwitch />
          {session.value?.needed && <Leave />}
        </div>
        <Connection />
      </header>
      <main id="main" tabIndex={-1}>
        {trouble.value && <Trouble of={trouble.value} />}
        {children}
      </main>
      <div class="unseen" role="status" aria-live="polite">{announcement}</div>
    </>
  );
}

/** The address belongs to the router: it must not become `#main`. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Ways() {
  const { view } = route.value;
  return (
    <nav class="ways" aria-label="Views">
      {WAYS.map(({ view: own, to, text, icon, also }) => (
        <a key={own} href={to} aria-current={own === view ? "page" : also === view ? "true" : undefined}>
          <Icon name={icon} />
          {text}
        </a>
      ))}
    </nav>
  );
}

const NEXT = { auto: "light", light: "dark", dark: "auto" } as const;

function ThemeSwitch() {
  const is = theme.value;
  const said = `Colours: ${is === "auto" ? "as the system" : is}`;
  return (
    <button type="button" class="button is-quiet" title={said} aria-label={said} onClick={() => (theme.value = NEXT[is])}>
      <Icon name={is} />
    </button>
  );
}

function Leave() {
  const leave = () => api.logout().then(enter, enter);
  return (
    <button type="button" class="button is-quiet" title="Log out" aria-label="Log out" onClick={leave}>
      <Icon name="leave" />
    </button>
  );
}

/** The service that we first talked to; another one may have another page. */
let first: string | undefined;

function Connection() {
  first ??= version.value;
  if (connection.value === "lost") {
    return <div class="notice" role="status">The connection to ttn-ferry is lost. What you see is not up to date; trying again …</div>;
  }
  if (version.value === first) return null;
  return (
    <div class="notice" role="status">
      ttn-ferry is version {version.value} now.
      <button type="button" class="button is-small" onClick={() => location.reload()}>Load its page</button>
    </div>
  );
}
