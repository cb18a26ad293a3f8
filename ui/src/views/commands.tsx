// What a device can be told, and what became of it: a part of the device's page.
import { Downlinks } from "../commands/downlinks";
import { CommandForm } from "../commands/form";
import { useDownlinks } from "../commands/list";
import { RawForm } from "../commands/raw";
import type { Entry } from "../store";
import "./commands.css";

export function Commands({ entry }: { entry: Entry }) {
  const device = entry.info.value;
  const list = useDownlinks(device);
  const offered = device.commands.length > 0;
  return (
    <section class="card commands" aria-labelledby="commands">
      <header>
        <h2 id="commands">Commands</h2>
      </header>
      {offered && <CommandForm device={device} accepted={list.take} />}
      <details class="fold" open={!offered}>
        <summary>Send bytes</summary>
        <RawForm device={device} accepted={list.take} />
      </details>
      <h3>What was sent</h3>
      <Downlinks list={list} />
    </section>
  );
}
