// One device.
import { byName } from "../store";
import { Commands } from "./commands";

export function DeviceView({ name }: { name: string }) {
  const entry = byName.value.get(name);
  return (
    <>
      <h1>{name}</h1>
      {entry && <Commands entry={entry} />}
    </>
  );
}
