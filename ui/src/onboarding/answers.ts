// What the first run asks, and the body of its requests.

/** The form. An empty text is no answer. */
export interface Answers {
  /** A cluster of The Things Network, or `own`. */
  place: string;
  mqtt_url: string;
  api_url: string;
  application: string;
  tenant: string;
  api_key: string;
  home: string;
  home_username: string;
  home_password: string;
}

export const NOTHING: Answers = {
  ...{ place: "eu1", mqtt_url: "", api_url: "", application: "", tenant: "" },
  ...{ api_key: "", home: "mqtt://localhost:1883", home_username: "", home_password: "" },
};

/** The answers as `ttn-ferry init` takes them: what is empty is left out. */
export function body({ place, mqtt_url, api_url, ...rest }: Answers): Record<string, string> {
  const where = place === "own" ? { mqtt_url, api_url } : { cluster: place };
  const all = Object.entries({ ...where, ...rest }).map(([key, text]) => [key, text.trim()] as const);
  return Object.fromEntries(all.filter(([, text]) => text !== ""));
}

/** What is still to be answered before anything can be checked. */
export function missing({ place, mqtt_url, application, api_key, home }: Answers): string[] {
  const wanted = {
    application,
    "API key": api_key,
    "home broker": home,
    ...(place === "own" ? { "MQTT address": mqtt_url } : {}),
  };
  return Object.entries(wanted).flatMap(([name, text]) => (text.trim() === "" ? [name] : []));
}
