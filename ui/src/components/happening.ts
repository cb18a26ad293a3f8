// What happened, read once and kept true by what is told.
import { useEffect, useState } from "preact/hooks";
import { api, type StoredEvent } from "../api";
import { merged, stored } from "../events";
import { onTold } from "../live";
import { useRead, type Read } from "./reading";

/** The newest events, those of one device if it is named, the newest first. */
export function useEvents(asked: { device?: string; limit: number }): Read<StoredEvent[]> {
  const { device, limit } = asked;
  const read = useRead(() => api.events(asked), [device]);
  const [added, setAdded] = useState<StoredEvent[]>([]);
  useEffect(
    () =>
      onTold((told) => {
        const event = stored(told);
        const isWanted = device === undefined || (event?.device ?? told.device) === device;
        if (event && isWanted) setAdded((old) => [event, ...old].slice(0, limit));
      }),
    [device],
  );
  return { ...read, value: read.value && merged(added, read.value.events) };
}
