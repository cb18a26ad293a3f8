// The page: which view is shown in the frame.
import { effect } from "@preact/signals";
import { render } from "preact";
import { Empty } from "./components/empty";
import { Frame } from "./components/frame";
import { Trouble } from "./components/problem";
import { follow, href, route } from "./router";
import { isOnboarding, session, start, trouble } from "./store";
import "./styles.css";
import { Bench } from "./views/bench";
import { DeviceView } from "./views/device";
import { Events } from "./views/events";
import { Gateways } from "./views/gateways";
import { Login } from "./views/login";
import { Onboarding } from "./views/onboarding";
import { Overview } from "./views/overview";

function Page() {
  if (isOnboarding.value) return <Onboarding />;
  if (!session.value) return <main>{trouble.value && <Trouble of={trouble.value} />}</main>;
  if (session.value.needed && !session.value.authenticated) return <Login />;
  return (
    <Frame>
      <View />
    </Frame>
  );
}

function View() {
  const at = route.value;
  switch (at.view) {
    case "overview":
      return <Overview />;
    case "device":
      return <DeviceView key={at.name} name={at.name} />;
    case "bench":
      return <Bench key={at.codec} codec={at.codec} />;
    case "gateways":
      return <Gateways />;
    case "events":
      return <Events />;
    default:
      return (
        <Empty title="There is nothing here">
          <a class="button" href={href.overview}>To the overview</a>
        </Empty>
      );
  }
}

/** The name of the tab says where we are. */
function title(): string {
  const at = route.value;
  const names = { overview: "", device: "", bench: "Codecs", gateways: "Gateways", events: "Events", unknown: "" };
  const name = at.view === "device" ? at.name : names[at.view];
  return name ? `${name} · ttn-ferry` : "ttn-ferry";
}

follow();
effect(() => {
  document.title = title();
});
start();
const root = document.getElementById("page");
if (root) render(<Page />, root);
