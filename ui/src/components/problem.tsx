// What went wrong, with what to do about it.
import { Problem } from "../api";

export function Trouble({ of }: { of: unknown }) {
  const [detail, hint] = of instanceof Problem ? [of.detail, of.hint] : [String(of), undefined];
  return (
    <div class="problem" role="alert">
      <strong>{detail}</strong>
      {hint && <span>{hint}</span>}
    </div>
  );
}
