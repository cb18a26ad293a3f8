// What the first run is asked and told over HTTP.
import { ask } from "../api";

export interface Known {
  /** Where the configuration would be written. */
  path: string;
  /** The clusters of The Things Network. */
  clusters: string[];
}

/** The outcome of one part of the check. */
export interface Finding {
  subject: string;
  leg: string;
  status: "ok" | "warning" | "failed" | "skipped";
  detail: string;
  hint?: string;
}

export const onboarding = {
  known: () => ask<Known>("GET", "onboarding"),
  check: (answers: object) => ask<{ findings: Finding[] }>("POST", "onboarding/check", answers),
  write: (answers: object) => ask<{ path: string }>("POST", "onboarding/write", answers),
};
