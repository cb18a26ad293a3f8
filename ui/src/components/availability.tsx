// Whether a device is heard from, in a colour and a word.
import type { Availability } from "../api";

export function Presence({ is }: { is: Availability | undefined }) {
  const [tone, word] = is === "online" ? ["good", "online"] : is === "offline" ? ["bad", "offline"] : ["", "unknown"];
  return (
    <span class={`badge ${tone}`}>
      <span class="dot" />
      {word}
    </span>
  );
}
