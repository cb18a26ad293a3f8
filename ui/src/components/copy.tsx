// A button that puts a text on the clipboard, and says that it did.
import { useState } from "preact/hooks";
import { Icon } from "./icons";

export function Copy({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  const copy = () => {
    put(text).then(() => setState("done"), () => setState("failed"));
    setTimeout(() => setState("idle"), 1_500);
  };
  const said = { idle: `Copy ${what}`, done: "Copied", failed: "The browser does not allow it" }[state];
  return (
    <button type="button" class="button is-quiet is-small" title={said} aria-label={said} onClick={copy}>
      <Icon name={state === "done" ? "done" : "copy"} size={16} />
    </button>
  );
}

/** Browsers keep the clipboard to pages under TLS; the old way works on a home network too. */
async function put(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (!isDone) throw new Error("refused");
}
