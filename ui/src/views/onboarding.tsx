// The first run, without a configuration: three answers, a check of the whole way, and the file is written.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAttempt } from "../components/attempt";
import { Trouble } from "../components/problem";
import { type Answers, body, missing, NOTHING } from "../onboarding/answers";
import { type Finding, type Known, onboarding } from "../onboarding/api";
import { Findings } from "../onboarding/findings";
import { Starting } from "../onboarding/starting";
import "./commands.css";
import "./welcome.css";

export function Onboarding() {
  const answers = useSignal<Answers>(NOTHING);
  const known = useSignal<Known | undefined>(undefined);
  const found = useSignal<{ of: Answers; findings: Finding[] } | undefined>(undefined);
  const written = useSignal<string | undefined>(undefined);
  const { busy, problem, attempt } = useAttempt();
  useEffect(() => void attempt(async () => void (known.value = await onboarding.known())), []);

  const check = async (event: Event) => {
    event.preventDefault();
    found.value = undefined;
    const of = answers.value;
    await attempt(async () => void (found.value = { of, ...(await onboarding.check(body(of))) }));
  };
  const write = () =>
    attempt(async () => {
      written.value = (await onboarding.write(body(answers.value))).path;
    });
  const left = missing(answers.value);
  const findings = found.value?.findings;
  // What was found says nothing of answers that were changed since.
  const isGood = found.value?.of === answers.value && findings?.every(({ status }) => status !== "failed");
  return (
    <main class="welcome">
      <header class="row">
        <img src="icon.svg" alt="" width="36" height="36" />
        <h1>Welcome to ttn-ferry</h1>
      </header>
      <p class="muted">
        It carries messages between The Things Network and your home broker. Three answers, and it runs.
      </p>
      {written.value !== undefined && <Starting path={written.value} />}
      <form class="card" hidden={written.value !== undefined} onSubmit={check} noValidate>
        <ol class="steps">
          <Network answers={answers} clusters={known.value?.clusters ?? ["eu1", "nam1", "au1"]} />
          <Key answers={answers} />
          <Home answers={answers} />
        </ol>
        <div class="row">
          <button type="submit" class={`button ${isGood ? "" : "is-main"}`} disabled={left.length > 0 || busy.value}>
            Check it
          </button>
          {left.length > 0 && <span class="muted">Still missing: {left.join(", ")}.</span>}
          {busy.value && <span class="muted">Trying every part of the way …</span>}
        </div>
        <div role="status">{findings && <Findings of={findings} />}</div>
        {problem.value && <Trouble of={problem.value} />}
        {findings && (
          <div class="row">
            <button type="button" class={`button ${isGood ? "is-main" : ""}`} disabled={busy.value} onClick={write}>
              {isGood ? "Write it and start" : "Write it anyway and start"}
            </button>
            {known.value && (
              <span class="muted">
                It is written to <code>{known.value.path}</code>.
              </span>
            )}
          </div>
        )}
      </form>
    </main>
  );
}

interface StepProps {
  answers: Signal<Answers>;
}

function Network({ answers, clusters }: StepProps & { clusters: string[] }) {
  const { place } = answers.value;
  return (
    <li>
      <h2>Your network</h2>
      <div class="fields">
        <label class="field">
          <span>Cluster</span>
          <select
            class="input"
            name="place"
            value={place}
            onChange={(event) => (answers.value = { ...answers.value, place: event.currentTarget.value })}
          >
            {clusters.map((cluster) => (
              <option key={cluster}>{cluster}</option>
            ))}
            <option value="own">a stack of my own</option>
          </select>
        </label>
        <Answer answers={answers} of="application" label="Application ID" example="my-garden" />
        {place === "own" && (
          <Answer answers={answers} of="mqtt_url" label="Its MQTT address" example="mqtts://stack.example:8883" />
        )}
        {place === "own" && (
          <Answer answers={answers} of="api_url" label="Its HTTP API" example="https://stack.example" />
        )}
        {place === "own" && <Answer answers={answers} of="tenant" label="Tenant, if it has any" example="" />}
      </div>
    </li>
  );
}

function Key({ answers }: StepProps) {
  return (
    <li>
      <h2>Its API key</h2>
      <p class="muted">
        In the console (<span class="mono">console.cloud.thethings.network</span>), open the application, then{" "}
        <em>API keys</em>, <em>Add API key</em>: grant the rights to read and write application traffic and to view
        devices, and copy the key, which is shown only once.
      </p>
      <Answer answers={answers} of="api_key" label="API key" example="NNSXS.…" isSecret />
    </li>
  );
}

function Home({ answers }: StepProps) {
  return (
    <li>
      <h2>Your home broker</h2>
      <p class="muted">
        Mosquitto on this machine, as Debian installs it, wants no user. Home Assistant's own is{" "}
        <span class="mono">mqtt://homeassistant.local</span> and takes a user of Home Assistant, best one made for this (
        <em>Settings</em>, <em>People</em>, <em>Users</em>), with its password.
      </p>
      <Answer answers={answers} of="home" label="Address" example="mqtt://localhost:1883" />
      <div class="fields">
        <Answer answers={answers} of="home_username" label="User, if it wants one" example="" />
        <Answer answers={answers} of="home_password" label="Password" example="" isSecret />
      </div>
    </li>
  );
}

interface AnswerProps extends StepProps {
  of: Exclude<keyof Answers, "place">;
  label: string;
  example: string;
  isSecret?: boolean;
}

function Answer({ answers, of, label, example, isSecret = false }: AnswerProps) {
  return (
    <label class={`field ${of.endsWith("_url") ? "is-long" : ""}`}>
      <span>{label}</span>
      <input
        class={`input ${isSecret ? "mono" : ""}`}
        type={isSecret ? "password" : "text"}
        name={of}
        value={answers.value[of]}
        placeholder={example}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => (answers.value = { ...answers.value, [of]: event.currentTarget.value })}
      />
    </label>
  );
}
