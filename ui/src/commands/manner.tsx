// How a downlink shall travel: the part that every form has.
import type { Signal } from "@preact/signals";
import { type Manner, PRIORITIES } from "./table";

export function MannerFields({ manner }: { manner: Signal<Manner> }) {
  const set = (part: Partial<Manner>) => (manner.value = { ...manner.value, ...part });
  const { confirmed, priority, expires_in } = manner.value;
  return (
    <>
      <label class="check">
        <input
          type="checkbox"
          checked={confirmed}
          onChange={(event) => set({ confirmed: event.currentTarget.checked })}
        />
        The device shall acknowledge it
      </label>
      <details class="fold">
        <summary>Priority and expiry</summary>
        <div class="fields">
          <label class="field is-short">
            <span>Priority</span>
            <select class="input" value={priority} onChange={(event) => set({ priority: event.currentTarget.value })}>
              {PRIORITIES.map((name) => (
                <option key={name} value={name}>
                  {name.toLowerCase().replace("_", " ")}
                </option>
              ))}
            </select>
          </label>
          <label class="field is-short">
            <span>Give up after</span>
            <input
              class="input"
              value={expires_in}
              placeholder="never, or 30m, 2h"
              autocomplete="off"
              onInput={(event) => set({ expires_in: event.currentTarget.value })}
            />
          </label>
        </div>
      </details>
    </>
  );
}
