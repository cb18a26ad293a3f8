// The downlinks of one device, read once and kept true by what is told live.

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Problem } from "../api";
import { onMissed, onTold } from "../live";
import { downlinks, type Whose } from "./api";
import { type Downlink, merged, type Step, stepped } from "./life";

export interface DownlinkList {
  /** Newest first; none until they were read. */
  items: Signal<Downlink[] | undefined>;
  trouble: Signal<Problem | undefined>;
  /** Puts in what the service answered about one. */
  take: (downlink: Downlink) => void;
}

/** The list for as long as the component that uses it is shown. */
export function useDownlinks({ device_id, application }: Whose): DownlinkList {
  const list = useMemo(() => follow({ device_id, application }), [device_id, application]);
  useEffect(() => list.start(), [list]);
  return list;
}

function follow(whose: Whose): DownlinkList & { start: () => () => void } {
  const items = signal<Downlink[] | undefined>(undefined);
  const trouble = signal<Problem | undefined>(undefined);
  // Only the newest answer counts: what was told meanwhile asked for another.
  let asked = 0;

  const read = async () => {
    const mine = ++asked;
    try {
      const answer = await downlinks.list(whose);
      if (mine !== asked) return;
      items.value = merged(items.value ?? [], answer.downlinks);
      trouble.value = undefined;
    } catch (error) {
      if (mine === asked) trouble.value = error as Problem;
    }
  };
  const hear = (step: Step) => {
    const after = stepped(items.value ?? [], step);
    if (after) items.value = after;
    // It is new, or an answer is on its way that may be older than this step.
    else void read();
  };
  const start = () => {
    void read();
    const ends = [
      onMissed(() => void read()),
      onTold((told) => {
        const ours = told.device_id === whose.device_id && told.application === whose.application;
        if (told.kind === "downlink" && ours) hear(told.data as Step);
      }),
    ];
    return () => ends.forEach((end) => end());
  };
  const take = (downlink: Downlink) => {
    const known = items.value ?? [];
    items.value = merged(known, [downlink, ...known.filter(({ id }) => id !== downlink.id)]);
  };
  return { items, trouble, take, start };
}
