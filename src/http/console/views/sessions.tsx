/** The sessions of one user, and how they are ended. */
import { useState } from "preact/hooks";
import { useAnswer, useOperator } from "../hooks.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Name, Problem } from "../parts/text.tsx";
import { go, hashOf } from "../routes.ts";
import type { UserSessions } from "../server-api.ts";

const LOOK_MS = 5_000;

export function Sessions({ user }: { readonly user: string }) {
  const [written, setWritten] = useState(user);
  const apply = (event: Event): void => {
    event.preventDefault();
    go({ view: "sessions", user: written });
  };
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Sessions of a user
      </h1>
      <form class="row" onSubmit={apply}>
        <label class="grow">
          User
          <input
            id="user"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            required
            value={written}
            onInput={(event) => setWritten(event.currentTarget.value)}
          />
        </label>
        <button type="submit">Find</button>
      </form>
      {user === "" ? null : <Found user={user} />}
    </section>
  );
}

function Found({ user }: { readonly user: string }) {
  const { api, may, mayEverywhere } = useOperator();
  const { answer, problem, ask } = useAnswer<UserSessions>(
    (its, signal) => its.call("Sessions", { user }, signal),
    user,
    LOOK_MS,
  );
  const end = async (whom: { sessions?: string[]; users?: string[] }): Promise<void> => {
    const { session_errors: ofSessions = {}, user_errors: ofUsers = {} } = await api.call(
      "Disconnect",
      whom,
    );
    const [failure] = [...Object.values(ofSessions), ...Object.values(ofUsers)];
    if (failure !== undefined) throw new Error(failure.message ?? failure.code);
    ask();
  };
  const { sessions = [] } = answer ?? {};
  if (answer === undefined) return <Problem text={problem} />;
  return (
    <>
      <Problem text={problem} />
      {sessions.length === 0 ? (
        <p class="empty">
          <Name of={user} /> has no session.
        </p>
      ) : (
        <table>
          <caption class="hidden">Sessions</caption>
          <thead>
            <tr>
              <th scope="col">Session</th>
              <th scope="col">Since</th>
              {may("manage") ? <th scope="col">Manage</th> : null}
            </tr>
          </thead>
          <tbody>
            {sessions.map(({ session_id: id, since }) => (
              <tr key={id}>
                <th scope="row">
                  <Name of={id} />
                </th>
                <td>
                  <time dateTime={new Date(Number(since)).toISOString()}>
                    {new Date(Number(since)).toISOString().replace("T", " ").slice(0, 19)}
                  </time>
                </td>
                {may("manage") ? (
                  <td>
                    <Confirm
                      button="Disconnect"
                      question={
                        <>
                          End the session <Name of={id} /> of <Name of={user} />? Its client may
                          come back.
                        </>
                      }
                      act={() => end({ sessions: [id] })}
                    />
                  </td>
                ) : null}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {mayEverywhere("trace") ? (
        <p>
          <a href={hashOf({ view: "trace", of: "user", name: user })}>
            Trace the frames of these sessions
          </a>
        </p>
      ) : null}
      {may("manage") && sessions.length > 1 ? (
        <Confirm
          button="Disconnect all"
          question={
            <>
              End all {sessions.length} sessions of <Name of={user} />? Their clients may come back.
            </>
          }
          act={() => end({ users: [user] })}
        />
      ) : null}
    </>
  );
}
