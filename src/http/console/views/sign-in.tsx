/** The door: a key of the server API, which stays in this tab. */
import { useState } from "preact/hooks";
import { Problem } from "../parts/text.tsx";

export interface SignInProps {
  readonly problem: string | undefined;
  readonly isBusy: boolean;
  readonly enter: (key: string, keeps: boolean) => void;
}

export function SignIn({ problem, isBusy, enter }: SignInProps) {
  const [key, setKey] = useState("");
  const [keeps, setKeeps] = useState(false);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (key.trim() !== "") enter(key.trim(), keeps);
  };
  return (
    <main class="door">
      <h1>MessageLoop console</h1>
      <p class="quiet">Sign in with a key of the server API. What it may, the console may.</p>
      <form onSubmit={submit}>
        <label>
          API key
          <input
            id="key"
            type="password"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            placeholder="ml_…"
            required
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={keeps}
            onChange={(event) => setKeeps(event.currentTarget.checked)}
          />
          Remember it until this tab is closed
        </label>
        <Problem text={problem} />
        <button type="submit" disabled={isBusy}>
          Sign in
        </button>
      </form>
    </main>
  );
}
