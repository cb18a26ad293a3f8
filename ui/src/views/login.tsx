// Who comes in without a session: a password for people, a token for whoever has only that.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { api } from "../api";
import { useAttempt } from "../components/attempt";
import { Trouble } from "../components/problem";
import { unchanged } from "../late";
import { enter, session } from "../store";
import "./welcome.css";

export function Login() {
  const secret = useSignal("");
  const field = useRef<HTMLInputElement>(null);
  const byToken = useSignal(!session.value?.password);
  const { busy, problem, attempt } = useAttempt();
  const [name, other] = byToken.value ? ["Token", "password"] : ["Password", "token"];

  const submit = async (event: Event) => {
    event.preventDefault();
    const given = secret.value;
    const isAsGiven = unchanged(() => secret.value);
    const well = await attempt(async () => {
      await api.login(byToken.value ? { token: given } : { password: given });
      await enter();
    });
    if (well) return;
    if (isAsGiven()) secret.value = "";
    field.current?.focus();
  };
  return (
    <main class="welcome">
      <form class="card" onSubmit={submit}>
        <header class="brand">
          <img src="icon.svg" alt="" width="36" height="36" />
          <h1>ttn-ferry</h1>
        </header>
        {/* Whoever keeps passwords wants to know whose. */}
        <input type="text" name="username" value="ttn-ferry" autocomplete="username" readOnly hidden />
        <label class="field">
          <span>{name}</span>
          <input
            ref={field}
            class="input"
            type="password"
            name="secret"
            value={secret.value}
            autocomplete={byToken.value ? "off" : "current-password"}
            required
            autofocus
            onInput={(event) => (secret.value = event.currentTarget.value)}
          />
        </label>
        {problem.value && <Trouble of={problem.value} />}
        <button type="submit" class="button is-main" disabled={busy.value || secret.value === ""}>
          Log in
        </button>
        {session.value?.password && (
          <button type="button" class="button is-quiet" onClick={() => (byToken.value = !byToken.value)}>
            Use the {other} instead
          </button>
        )}
      </form>
    </main>
  );
}
