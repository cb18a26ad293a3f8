// Bytes as people write and paste them.

export type Encoding = "hex" | "base64" | "text";

/** The key under which a request takes a payload in this encoding. */
export function keyOf(encoding: Encoding): string {
  return `payload_${encoding}`;
}

/** How many bytes the text is in this encoding; `undefined` if it is none. */
export function lengthOf(text: string, encoding: Encoding): number | undefined {
  const written = text.trim();
  switch (encoding) {
    case "hex": {
      const groups = written.split(/[\s:]+/).map((group) => group.replace(/^0x/i, ""));
      return groups.every((group) => /^([0-9a-f]{2})*$/i.test(group)) ? groups.join("").length / 2 : undefined;
    }
    case "base64": {
      const digits = written.replace(/=+$/, "");
      return /^[\w+/-]*$/.test(digits) && digits.length % 4 !== 1 ? Math.floor((digits.length * 3) / 4) : undefined;
    }
    case "text":
      return new TextEncoder().encode(text).length;
  }
}

/** The encoding that pasted text is surely in; else the one that was chosen. */
export function guess(text: string, chosen: Encoding): Encoding {
  if (chosen === "text" || lengthOf(text, chosen) !== undefined) return chosen;
  const other = chosen === "hex" ? "base64" : "hex";
  return lengthOf(text, other) === undefined ? chosen : other;
}
