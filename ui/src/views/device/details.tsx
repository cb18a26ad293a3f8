// What the device is, and which codec reads it and why.
import type { Device, DeviceDetails } from "../../api";
import { Copy } from "../../components/copy";
import { span } from "../../format";
import { href } from "../../router";

const SOURCES = { shipped: "comes with ttn-ferry", user: "your own", repository: "device repository", network: "the network's" };

export function Codec({ device, details }: { device: Device; details: DeviceDetails | undefined }) {
  const choice = details?.codec_choice;
  const name = choice?.name ?? device.codec?.name ?? "none";
  const why = choice?.why ?? device.codec?.chosen_by;
  const others = choice?.others ?? [];
  return (
    <section class="card" aria-labelledby="codec">
      <header>
        <h2 id="codec">Codec</h2>
        {name !== "none" && name !== "network" && <a class="button is-small" href={href.bench(name)}>Try it</a>}
      </header>
      <p>
        <strong>{name === "none" ? "Nothing decodes it" : name === "network" ? "The network's own formatter" : name}</strong>
        {choice?.source && <span class="muted"> · {SOURCES[choice.source] ?? choice.source}</span>}
      </p>
      {why && name !== "none" && <p class="small muted">Chosen by: {why}</p>}
      {device.codec?.hint && <p class="warn small">{device.codec.hint}</p>}
      {others.length > 0 && (
        <details>
          <summary class="small">What else was considered</summary>
          <ul class="others small">
            {others.map(({ name: other, source, why: reason, why_not }) => (
              <li key={`${source} ${other}`}>
                <strong>{other}</strong> <span class="muted">({SOURCES[source] ?? source}; {reason}){why_not && `: ${why_not}`}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

export function Identity({ device }: { device: Device }) {
  const { version_ids: model, dev_eui, join_eui, dev_addr, application, device_id, interval_s } = device;
  const eui = (text: string) => <><code>{text}</code><Copy text={text} what="it" /></>;
  return (
    <section class="card" aria-labelledby="identity">
      <h2 id="identity">Device</h2>
      <dl class="pairs small">
        {model && <><dt>Model</dt><dd>{[model.brand_id, model.model_id, model.hardware_version && `hardware ${model.hardware_version}`, model.firmware_version && `firmware ${model.firmware_version}`].filter(Boolean).join(" · ")}</dd></>}
        <dt>Application</dt><dd>{application}</dd>
        <dt>Device id</dt><dd>{device_id}</dd>
        {dev_eui && <><dt>DevEUI</dt><dd>{eui(dev_eui)}</dd></>}
        {join_eui && <><dt>JoinEUI</dt><dd>{eui(join_eui)}</dd></>}
        {dev_addr && <><dt>DevAddr</dt><dd><code>{dev_addr}</code></dd></>}
        {interval_s !== undefined && <><dt>Reports every</dt><dd>{span(interval_s * 1000)}</dd></>}
      </dl>
    </section>
  );
}
