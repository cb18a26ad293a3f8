// Two readings of the same payload beside each other: what a script that was edited makes different.

/** One field in both readings. */
export interface Row {
  path: string;
  before?: string;
  after?: string;
  change: "same" | "added" | "gone" | "different";
}

/** Each value by its dotted path, as it is shown. Lists go by number, what is empty by itself. */
export function flat(value: unknown, path = ""): Map<string, string> {
  const inner = value !== null && typeof value === "object" ? Object.entries(value) : [];
  if (inner.length === 0) return new Map(path === "" ? [] : [[path, JSON.stringify(value) ?? ""]]);
  return new Map(inner.flatMap(([key, part]) => [...flat(part, path === "" ? key : `${path}.${key}`)]));
}

/** Every path of either reading, in the order of the new one, then what is gone. */
export function compare(before: unknown, after: unknown): Row[] {
  const [old, fresh] = [flat(before), flat(after)];
  const paths = new Set([...fresh.keys(), ...old.keys()]);
  return [...paths].map((path) => row(path, old.get(path), fresh.get(path)));
}

function row(path: string, before: string | undefined, after: string | undefined): Row {
  const change =
    before === undefined ? "added" : after === undefined ? "gone" : before === after ? "same" : "different";
  return { path, change, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}
