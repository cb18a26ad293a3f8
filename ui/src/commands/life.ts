// A downlink's life: what is known of it, and how each step that is told live changes that.

/** Where a downlink can be. */
export type State =
  "accepted" | "held" | "queued" | "sent" | "nacked" | "acked" | "failed" | "expired" | "superseded" | "cancelled";

export interface Step {
  id: string;
  state: State;
  at: string;
  reason?: string;
  hint?: string;
}

/** A downlink as `/api/v1/downlinks` shows it: the members the page uses. */
export interface Downlink {
  id: string;
  device: string;
  application: string;
  state: State;
  open: boolean;
  f_port: number;
  payload_hex: string;
  confirmed: boolean;
  priority: string;
  created_at: string;
  updated_at: string;
  expires_at?: string;
  not_before?: string;
  steps: Step[];
  step_count: number;
}

/** How the end of a downlink is to be looked at. */
export type Mood = "under way" | "good" | "bad" | "over";

const ENDS: Partial<Record<State, Mood>> = {
  acked: "good",
  failed: "bad",
  expired: "bad",
  superseded: "over",
  cancelled: "over",
};

const WORDS: Record<State, string> = {
  accepted: "stored by the bridge",
  held: "waits",
  queued: "taken by the network; it leaves after the next uplink",
  sent: "left a gateway",
  nacked: "not acknowledged; the network tries again",
  acked: "acknowledged by the device",
  failed: "failed",
  expired: "expired before it was sent",
  superseded: "a newer one took its place",
  cancelled: "cancelled",
};

/** What a state means, in words for whoever does not know LoRaWAN. */
export function meaning(state: State): string {
  return WORDS[state] ?? state;
}

/** An unconfirmed downlink has reached its end once it was sent: nobody acknowledges it. */
export function mood({ state, confirmed }: Pick<Downlink, "state" | "confirmed">): Mood {
  if (state === "sent") return confirmed ? "under way" : "good";
  return ENDS[state] ?? "under way";
}

/** The downlinks with one more step; `undefined` if none of them made it, so that the list must be read anew. */
export function stepped(downlinks: readonly Downlink[], step: Step): Downlink[] | undefined {
  const known = downlinks.find((downlink) => downlink.id === step.id);
  if (!known) return undefined;
  const told = known.steps.some((old) => old.at === step.at && old.state === step.state && old.reason === step.reason);
  if (told) return [...downlinks];
  const after: Downlink = {
    ...known,
    state: step.state,
    updated_at: step.at,
    steps: [...known.steps, step],
    step_count: known.step_count + 1,
  };
  after.open = mood(after) === "under way";
  return downlinks.map((downlink) => (downlink === known ? after : downlink));
}

/** What was read, but for what became known while it was on its way, steps and downlinks: the newest of each, the newest first. */
export function merged(known: readonly Downlink[], read: readonly Downlink[]): Downlink[] {
  const last = read.map(({ created_at }) => created_at).sort().at(-1) ?? "";
  const newer = known.filter(({ id, created_at }) => created_at > last && !read.some((downlink) => downlink.id === id));
  const newest = (downlink: Downlink) => {
    const own = known.find(({ id }) => id === downlink.id);
    return own && own.step_count > downlink.step_count ? own : downlink;
  };
  return [...newer, ...read.map(newest)].sort((a, b) => b.created_at.localeCompare(a.created_at));
}

/** The stages ahead of a downlink that is under way, so that its timeline shows where it is going. */
export function ahead({ state, confirmed, open }: Downlink): State[] {
  if (!open) return [];
  const road: State[] = confirmed ? ["queued", "sent", "acked"] : ["queued", "sent"];
  if (state === "nacked") return ["sent", "acked"];
  return road.slice(road.indexOf(state) + 1);
}
