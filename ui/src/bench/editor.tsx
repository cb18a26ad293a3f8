// A plain editor for scripts and tables: numbered lines, Tab that indents, a mark on the line that is wrong.
import type { Signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Edit, indent, newline, outdent } from "./editing";

interface Props {
  label: string;
  text: Signal<string>;
  /** Counted from 1. */
  wrong: number | undefined;
}

/** The height of a line in pixels, as the style has it. */
const LINE = 20;

export function Editor({ label, text, wrong }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const beside = useRef<HTMLDivElement>(null);
  const leaving = useRef(false);
  const lines = text.value.split("\n").length;

  const key = (event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }) => {
    const edit = leaving.current ? undefined : editOf(event);
    // Whoever has no mouse must be able to get out: Escape gives the next Tab back to the browser.
    leaving.current = event.key === "Escape" || (leaving.current && event.key === "Shift");
    if (!edit) return;
    event.preventDefault();
    put(event.currentTarget, edit);
  };
  const scroll = () => {
    if (area.current && beside.current) beside.current.style.transform = `translateY(${-area.current.scrollTop}px)`;
  };
  return (
    <div class="editor">
      <div class="gutter" aria-hidden="true">
        <div ref={beside}>
          {wrong !== undefined && wrong <= lines && <i style={{ top: `${(wrong - 1) * LINE}px` }} />}
          <pre>{Array.from({ length: lines }, (_, line) => line + 1).join("\n")}</pre>
        </div>
      </div>
      <textarea
        ref={area}
        aria-label={label}
        aria-describedby="editor-keys"
        aria-invalid={wrong !== undefined}
        value={text.value}
        wrap="off"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={key}
        onScroll={scroll}
      />
      <p id="editor-keys" class="muted small">
        Tab and Shift-Tab indent; Escape and then Tab leaves the editor.
      </p>
    </div>
  );
}

/** What a key does to the text, if it is not the browser's own doing. */
function editOf({ key, shiftKey, ctrlKey, altKey, metaKey, currentTarget }: KeyboardEvent): Edit | undefined {
  const { value, selectionStart, selectionEnd } = currentTarget as HTMLTextAreaElement;
  if (ctrlKey || altKey || metaKey) return undefined;
  if (key === "Tab") return (shiftKey ? outdent : indent)(value, selectionStart, selectionEnd);
  return key === "Enter" ? newline(value, selectionStart, selectionEnd) : undefined;
}

function put(area: HTMLTextAreaElement, { from, to, insert, start, end }: Edit): void {
  area.setSelectionRange(from, to);
  // Old, and the only way that Ctrl-Z undoes; it also tells of the input.
  if (!document.execCommand("insertText", false, insert)) {
    area.setRangeText(insert, from, to);
    area.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
  area.setSelectionRange(start, end);
}
