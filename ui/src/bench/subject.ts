// Which codec lies on the bench, and for which device.
import type { Device } from "../api";
import type { Codec, Form } from "./api";

export interface Subject {
  codec: string;
  /** The device whose uplinks it is tried on. */
  device: Device | undefined;
}

/** The text of a codec as it was edited. */
export interface Changed {
  text: string;
  kind: Form;
}

/** What the choice of a codec, or of a device, puts on the bench. `choice`: `codec NAME` or `device NAME`. */
export function chosen(choice: string, devices: readonly Device[], codecs: readonly Codec[]): Subject | undefined {
  const [kind, name] = [choice.slice(0, choice.indexOf(" ")), choice.slice(choice.indexOf(" ") + 1)];
  if (kind === "device") {
    const device = devices.find((device) => device.name === name);
    const codec = device?.codec?.name;
    return codec === undefined ? undefined : { codec, device };
  }
  const user = codecs.find((codec) => codec.name === name)?.devices[0];
  return { codec: name, device: devices.find((device) => device.name === user) };
}

/** What lies there first: what the address names, else what a device has, else any. */
export function first(named: string | undefined, devices: readonly Device[], codecs: readonly Codec[]): string {
  if (named !== undefined) return `codec ${named}`;
  const device = devices.find((device) => codecs.some(({ name }) => name === device.codec?.name));
  if (device) return `device ${device.name}`;
  return codecs[0] ? `codec ${codecs[0].name}` : "";
}
