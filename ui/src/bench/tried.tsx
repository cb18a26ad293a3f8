// A script beside the codec in use, on a device's last uplinks: what it would make different.
import { count, hex, when } from "../format";
import { now } from "../store";
import type { Tried } from "./api";
import { compare, type Row } from "./compare";

export function TriedView({ of }: { of: Tried[] }) {
  const rows = of.map((tried) => ({ tried, rows: compare(tried.before.fields, tried.after.fields) }));
  const different = rows.filter(({ tried, rows }) => differs(tried, rows)).length;
  return (
    <div class="stack" role="status">
      <p>
        {of.length === 0
          ? "No uplink of this device is kept yet."
          : `${different} of ${count(of.length, "uplink")} ${different === 1 ? "reads" : "read"} differently.`}
      </p>
      {rows.map(({ tried, rows }, place) => (
        <One key={tried.id} tried={tried} rows={rows} shown={place === 0} />
      ))}
    </div>
  );
}

function differs({ before, after }: Tried, rows: Row[]): boolean {
  return before.error !== after.error || rows.some(({ change }) => change !== "same");
}

function One({ tried, rows, shown }: { tried: Tried; rows: Row[]; shown: boolean }) {
  const { at, f_port, payload_hex, before, after } = tried;
  const is =
    after.error !== undefined ? ["bad", "error"] : differs(tried, rows) ? ["warn", "different"] : ["good", "the same"];
  return (
    <details class="downlink" open={shown}>
      <summary>
        <span class={`badge ${is[0]}`}>{is[1]}</span>
        <code class="cut">{hex(payload_hex)}</code>
        <span class="muted small">port {f_port ?? "–"}</span>
        <time class="muted small" dateTime={at}>
          {when(Date.parse(at), now.value)}
        </time>
      </summary>
      {before.error !== undefined && <p class="bad">Before: {before.error}</p>}
      {after.error !== undefined && (
        <p class="bad">
          After: {after.line !== undefined && `line ${after.line}: `}
          {after.error}
        </p>
      )}
      {after.warnings?.map((warning) => (
        <p key={warning} class="warn">
          {warning}
        </p>
      ))}
      {after.log !== undefined && after.log.length > 0 && <pre>{after.log.join("\n")}</pre>}
      <div class="wide">
        <table class="compared">
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Before</th>
              <th scope="col">After</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ path, before, after, change }) => (
              <tr key={path} data-change={change}>
                <th scope="row">
                  {path} {change !== "same" && <span class="unseen">{change}</span>}
                </th>
                <td class="mono">{before ?? "–"}</td>
                <td class="mono">{after ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
