// What a device can be told, and what became of it: a part of the device's page.
import type { Entry } from "../store";

export function Commands(_: { entry: Entry }) {
  return null;
}
