// Bytes, how they are written, and their port: what every form about a payload asks for.
import type { Signal } from "@preact/signals";
import { type Encoding, guess, lengthOf } from "./payload";

interface Props {
  /** Tells the fields of several forms apart. */
  name: string;
  text: Signal<string>;
  encoding: Signal<Encoding>;
  port: Signal<string>;
}

const EXAMPLES: Record<Encoding, string> = { hex: "01 FF", base64: "Af8=", text: "LED on" };

export function PayloadFields({ name, text, encoding, port }: Props) {
  const length = lengthOf(text.value, encoding.value);
  const note = `${name}-length`;
  const write = (written: string) => {
    encoding.value = guess(written, encoding.value);
    text.value = written;
  };
  return (
    <div class="fields">
      <label class="field is-long">
        <span>Payload</span>
        <input
          class="input mono"
          name={`${name}-bytes`}
          value={text.value}
          placeholder={EXAMPLES[encoding.value]}
          autocomplete="off"
          spellcheck={false}
          aria-invalid={length === undefined}
          aria-describedby={note}
          onInput={(event) => write(event.currentTarget.value)}
        />
        <small id={note} class={length === undefined ? "bad" : "muted"}>
          {length === undefined ? `this is no ${encoding.value}` : `${length} ${length === 1 ? "byte" : "bytes"}`}
        </small>
      </label>
      <label class="field is-short">
        <span>Written in</span>
        <select
          class="input"
          name={`${name}-encoding`}
          value={encoding.value}
          onChange={(event) => (encoding.value = event.currentTarget.value as Encoding)}
        >
          <option>hex</option>
          <option>base64</option>
          <option>text</option>
        </select>
      </label>
      <label class="field is-short">
        <span>Port</span>
        <input
          class="input"
          name={`${name}-port`}
          inputMode="numeric"
          value={port.value}
          placeholder="1 to 223"
          autocomplete="off"
          onInput={(event) => (port.value = event.currentTarget.value)}
        />
      </label>
    </div>
  );
}
