// A form made from a codec's table of commands: what is filled in becomes a downlink.
import { useSignal } from "@preact/signals";
import type { Command, Device } from "../api";
import { useAttempt } from "../components/attempt";
import { Trouble } from "../components/problem";
import { downlinks } from "./api";
import type { Downlink } from "./life";
import { MannerFields } from "./manner";
import { type Draft, faults, fieldsByPort, type Manner, mannerly, nameOf, rangeOf, USUAL, without } from "./table";

interface Props {
  device: Device;
  /** What the service answered for each downlink that was accepted. */
  accepted: (downlink: Downlink) => void;
}

export function CommandForm({ device, accepted }: Props) {
  const draft = useSignal<Draft>({});
  const manner = useSignal<Manner>(USUAL);
  const { busy, problem, attempt } = useAttempt();
  const { commands } = device;
  const wrong = faults(commands, draft.value);
  const orders = wrong.size > 0 ? [] : fieldsByPort(commands, draft.value);

  const order = (fields: object) => downlinks.send(device, { ...fields, ...mannerly(manner.value) }).then(accepted);
  const send = async (event: Event) => {
    event.preventDefault();
    const sent = draft.value;
    await attempt(async () => {
      for (const one of orders) {
        await order(one);
        draft.value = without(draft.value, sent, Object.keys(one.fields));
      }
    });
  };
  const press = ({ field, f_port }: Command) =>
    attempt(() => order({ fields: { [field]: true }, ...(f_port == null ? {} : { f_port }) }));

  const [buttons, others] = [commands.filter(isButton), commands.filter((command) => !isButton(command))];
  return (
    <form class="stack" onSubmit={send} noValidate>
      <div class="fields">
        {others.map((command) => (
          <CommandInput
            key={command.field}
            command={command}
            text={draft.value[command.field] ?? ""}
            fault={wrong.get(command.field)}
            change={(text) => (draft.value = { ...draft.value, [command.field]: text })}
          />
        ))}
      </div>
      <MannerFields manner={manner} />
      <div class="row">
        {others.length > 0 && (
          <button type="submit" class="button is-main" disabled={orders.length === 0 || busy.value}>
            Send
          </button>
        )}
        {buttons.map((command) => (
          <button type="button" class="button" key={command.field} disabled={busy.value} onClick={() => press(command)}>
            {nameOf(command)}
          </button>
        ))}
      </div>
      {problem.value && <Trouble of={problem.value} />}
    </form>
  );
}

const isButton = (command: Command) => command.value.type === "button";

interface InputProps {
  command: Command;
  /** What stands in it; empty: it is not sent. */
  text: string;
  fault: string | undefined;
  change: (text: string) => void;
}

function CommandInput(props: InputProps) {
  switch (props.command.value.type) {
    case "boolean":
      return <Switch {...props} />;
    case "select":
      return <Choice {...props} />;
    default:
      return <Written {...props} />;
  }
}

/** A number or a text. */
function Written({ command, text, fault, change }: InputProps) {
  const { field, value } = command;
  const note = `command-${field}-note`;
  return (
    <label class="field">
      <span>{nameOf(command)}</span>
      <input
        class="input"
        name={field}
        value={text}
        inputMode={value.type === "number" ? "decimal" : "text"}
        placeholder="leave as it is"
        autocomplete="off"
        aria-invalid={fault !== undefined}
        aria-describedby={note}
        onInput={(event) => change(event.currentTarget.value)}
      />
      <small id={note} class={fault ? "bad" : "muted"}>
        {fault ?? rangeOf(value)}
      </small>
    </label>
  );
}

function Choice({ command, text, change }: InputProps) {
  const { field, value } = command;
  const options = value.type === "select" ? value.options : [];
  return (
    <label class="field">
      <span>{nameOf(command)}</span>
      <select class="input" name={field} value={text} onChange={(event) => change(event.currentTarget.value)}>
        <option value="">leave as it is</option>
        {options.map((option) => (
          <option key={option}>{option}</option>
        ))}
      </select>
    </label>
  );
}

const SWITCHED = [
  { text: "", words: "leave" },
  { text: "true", words: "on" },
  { text: "false", words: "off" },
];

function Switch({ command, text, change }: InputProps) {
  const name = nameOf(command);
  return (
    <div class="field">
      <span aria-hidden="true">{name}</span>
      <div class="segments" role="group" aria-label={name}>
        {SWITCHED.map(({ text: own, words }) => (
          <button type="button" key={own} aria-pressed={own === text} onClick={() => change(own)}>
            {words}
          </button>
        ))}
      </div>
    </div>
  );
}
