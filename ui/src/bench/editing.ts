// What Tab and Enter do to the text of an editor. Pure: the component puts the outcome into its textarea.

/** A replacement of the characters from `from` to `to`, and what is selected afterwards. */
export interface Edit {
  from: number;
  to: number;
  insert: string;
  start: number;
  end: number;
}

const INDENT = "  ";

/** Tab: indents where one stands, or every line that is selected. */
export function indent(text: string, start: number, end: number): Edit {
  if (!text.slice(start, end).includes("\n")) {
    return { from: start, to: end, insert: INDENT, start: start + INDENT.length, end: start + INDENT.length };
  }
  return onLines(text, start, end, (line) => (line === "" ? line : INDENT + line));
}

/** Shift-Tab: takes one step of indentation from each line that is touched. */
export function outdent(text: string, start: number, end: number): Edit {
  return onLines(text, start, end, (line) => line.replace(/^(\t| {1,2})/, ""));
}

/** Enter: the new line begins as deep as this one, and one step deeper after an opening bracket. */
export function newline(text: string, start: number, end: number): Edit {
  const line = text.slice(lineStart(text, start), start);
  const depth = /^[ \t]*/.exec(line)?.[0] ?? "";
  const insert = `\n${depth}${/[{([]\s*$/.test(line) ? INDENT : ""}`;
  return { from: start, to: end, insert, start: start + insert.length, end: start + insert.length };
}

function onLines(text: string, start: number, end: number, change: (line: string) => string): Edit {
  const from = lineStart(text, start);
  // A selection that ends at the very beginning of a line does not touch it.
  const last = end > start && text[end - 1] === "\n" ? end - 1 : end;
  const to = text.indexOf("\n", last) < 0 ? text.length : text.indexOf("\n", last);
  const lines = text.slice(from, to).split("\n");
  const insert = lines.map(change).join("\n");
  const first = change(lines[0] ?? "").length - (lines[0] ?? "").length;
  const grown = insert.length - (to - from);
  return { from, to, insert, start: Math.max(from, start + first), end: Math.max(from, end + grown) };
}

function lineStart(text: string, at: number): number {
  return at === 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
}
