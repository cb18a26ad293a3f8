// A downlink of bytes, for what no codec knows.
import { useSignal } from "@preact/signals";
import type { Device } from "../api";
import { PayloadFields } from "../bench/fields";
import { type Encoding, keyOf, lengthOf } from "../bench/payload";
import { useAttempt } from "../components/attempt";
import { Trouble } from "../components/problem";
import { unchanged } from "../late";
import { downlinks } from "./api";
import type { Downlink } from "./life";
import { MannerFields } from "./manner";
import { type Manner, mannerly, USUAL } from "./table";

interface Props {
  device: Device;
  accepted: (downlink: Downlink) => void;
}

export function RawForm({ device, accepted }: Props) {
  const text = useSignal("");
  const encoding = useSignal<Encoding>("hex");
  const port = useSignal("");
  const manner = useSignal<Manner>({ ...USUAL, confirmed: false });
  const { busy, problem, attempt } = useAttempt();
  const ready = (lengthOf(text.value, encoding.value) ?? 0) > 0 && port.value !== "";

  const send = async (event: Event) => {
    event.preventDefault();
    await attempt(async () => {
      const isAsSent = unchanged(() => text.value);
      const payload = { f_port: Number(port.value), [keyOf(encoding.value)]: text.value };
      accepted(await downlinks.send(device, { ...payload, ...mannerly(manner.value) }));
      if (isAsSent()) text.value = "";
    });
  };
  return (
    <form class="stack" onSubmit={send} noValidate>
      <PayloadFields name="raw" text={text} encoding={encoding} port={port} />
      <MannerFields manner={manner} />
      <div class="row">
        <button type="submit" class="button is-main" disabled={!ready || busy.value}>
          Send bytes
        </button>
      </div>
      {problem.value && <Trouble of={problem.value} />}
    </form>
  );
}
