// What a codec made of a payload: its fields, what is wrong, the normalised measurements, the home's entities.
import type { ComponentChildren } from "preact";
import type { Entity, Outcome } from "./api";
import { flat } from "./compare";

export function OutcomeView({ of }: { of: Outcome }) {
  const { fields, normalized, error, line, warnings = [], console: said = [], entities = [] } = of;
  const measured = normalized == null ? [] : [normalized].flat().flatMap((part) => [...flat(part)]);
  return (
    <div class="stack outcome" role="status">
      {error !== undefined && (
        <div class="problem">
          <strong>
            {line !== undefined && `Line ${line}: `}
            {error}
          </strong>
        </div>
      )}
      {warnings.map((warning) => (
        <p key={warning} class="warn">
          {warning}
        </p>
      ))}
      {fields != null && <Pairs title="Fields" of={[...flat(fields)]} />}
      {measured.length > 0 && <Pairs title="Normalised measurements" of={measured} />}
      {said.length > 0 && (
        <Part title="Console">
          <pre>{said.join("\n")}</pre>
        </Part>
      )}
      {entities.length > 0 && <Entities of={entities} />}
    </div>
  );
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="stack">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

function Pairs({ title, of }: { title: string; of: [string, string][] }) {
  return (
    <Part title={title}>
      {of.length === 0 && <p class="muted">None.</p>}
      <dl class="pairs">
        {of.map(([path, value]) => (
          <>
            <dt>{path}</dt>
            <dd class="mono">{value}</dd>
          </>
        ))}
      </dl>
    </Part>
  );
}

function Entities({ of }: { of: Entity[] }) {
  return (
    <Part title="Entities in Home Assistant">
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Kind</th>
              <th scope="col">Class</th>
              <th scope="col">Unit</th>
            </tr>
          </thead>
          <tbody>
            {of.map(({ component, name, unit, device_class, enabled }, place) => (
              <tr key={place} class={enabled ? "" : "muted"}>
                <td>
                  {name}
                  {!enabled && <span class="small"> (off at first)</span>}
                </td>
                <td>{component}</td>
                <td>{device_class ?? "–"}</td>
                <td>{unit ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  );
}
