// What the service is asked about downlinks.

import { ask, query, type Device } from "../api";
import type { Downlink } from "./life";

export type Whose = Pick<Device, "device_id" | "application">;

/** The newest downlinks of a device that are looked at. */
const MOST = 30;

export const downlinks = {
  list: ({ device_id, application }: Whose) =>
    ask<{ downlinks: Downlink[] }>("GET", `downlinks${query({ device: device_id, application, limit: MOST })}`),
  /** `order`: the keys of a downlink, as in `downlink/push`. */
  send: ({ device_id, application }: Whose, order: Record<string, unknown>) =>
    ask<Downlink>("POST", "downlinks", { device: device_id, application, ...order }),
  cancel: ({ id }: Pick<Downlink, "id">) => ask<Downlink>("DELETE", `downlinks/${encodeURIComponent(id)}`),
};
