/** Why a user may or may not do something in a channel, by the rules of access. */
import { useState } from "preact/hooks";
import { useOperator } from "../hooks.ts";
import { Name, Problem } from "../parts/text.tsx";
import { type Explanation, failureText } from "../server-api.ts";

const ACTIONS = ["subscribe", "publish", "presence", "history", "survey", "rpc"] as const;

export function Access() {
  const { api } = useOperator();
  const [asked, setAsked] = useState({ channel: "", action: "subscribe", user: "", client: "" });
  const [claims, setClaims] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [answer, setAnswer] = useState<Explanation | undefined>();
  const field = (name: keyof typeof asked) => ({
    value: asked[name],
    onInput: ({ currentTarget }: { readonly currentTarget: { readonly value: string } }) =>
      setAsked({ ...asked, [name]: currentTarget.value }),
  });
  const ask = async (): Promise<void> => {
    setProblem(undefined);
    setAnswer(undefined);
    try {
      setAnswer(await api.call("Explain", questionOf(asked, claims)));
    } catch (error) {
      setProblem(failureText(error));
    }
  };
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Access
      </h1>
      <p class="quiet">
        Which rule decides whether a user may do something. Neither a token nor a backend is asked,
        which may refuse more.
      </p>
      <form
        class="fields"
        onSubmit={(submitted) => {
          submitted.preventDefault();
          ask().catch(() => {});
        }}
      >
        <label>
          Channel, or to subscribe a pattern
          <input
            id="where"
            required
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            {...field("channel")}
          />
        </label>
        <label>
          Action
          <select id="action" {...field("action")}>
            {ACTIONS.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <label>
          User, empty for one that has not authenticated
          <input
            id="whom"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            {...field("user")}
          />
        </label>
        <label>
          Client id that authentication vouches for
          <input autocomplete="off" autocapitalize="off" spellcheck={false} {...field("client")} />
        </label>
        <label class="wide">
          Claims of a token as JSON, where there is one: sub, client and grants count
          <textarea
            id="claims"
            rows={3}
            spellcheck={false}
            placeholder='{"sub":"ada","grants":[{"pattern":"chat.**","actions":["subscribe"]}]}'
            value={claims}
            onInput={(event) => setClaims(event.currentTarget.value)}
          />
        </label>
        <div class="row wide">
          <button type="submit">Explain</button>
        </div>
      </form>
      <Problem text={problem} />
      <div role="status" class="verdict">
        {answer === undefined ? null : (
          <>
            <p class={answer.allowed === true ? "yes" : "no"}>
              {answer.allowed === true ? "Allowed" : "Refused"}
            </p>
            <ul>
              {(answer.reasons ?? []).map((reason) => (
                <li key={reason}>
                  <Name of={reason} most={1_024} />
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
    </section>
  );
}

interface Asked {
  readonly channel: string;
  readonly action: string;
  readonly user: string;
  readonly client: string;
}

/** @throws Error for claims that are none */
function questionOf({ action, channel, client, user }: Asked, claims: string): object {
  const { sub = user, client: vouched = client, grants } = claimsOf(claims);
  return {
    user: sub,
    action,
    channel,
    ...(vouched === "" ? {} : { client_id: vouched }),
    ...(grants === undefined ? {} : { grants: { grants } }),
  };
}

function claimsOf(text: string): { sub?: unknown; client?: unknown; grants?: unknown } {
  if (text.trim() === "") return {};
  let claims: unknown;
  try {
    claims = JSON.parse(text);
  } catch {
    // What the parser says differs from browser to browser.
  }
  if (typeof claims === "object" && claims !== null && !Array.isArray(claims)) return claims;
  throw new Error("the claims are no JSON object");
}
