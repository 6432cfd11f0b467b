import { type FormEvent, type ReactElement, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { MessageLoopProvider, useChannel, useConnectionState, usePresence } from "./hooks.ts";

const ROOM = "chat.lobby";
const STATES = { connected: "online", connecting: "connecting…", closed: "offline" };

function App(): ReactElement {
  const [name, setName] = useState("");
  if (name === "") return <Door onEnter={setName} />;
  // Everybody may call themselves anything here: docs/authentication.md is about users who have signed in.
  return (
    <MessageLoopProvider url="/ws" options={{ clientId: name }}>
      <Room name={name} />
    </MessageLoopProvider>
  );
}

function Door({ onEnter }: { readonly onEnter: (name: string) => void }): ReactElement {
  return (
    <form onSubmit={(event) => onEnter(textOf(event, "name"))}>
      <label htmlFor="name">Your name</label>
      <input
        id="name"
        name="name"
        pattern=".*\S.*"
        maxLength={40}
        autoComplete="nickname"
        required
      />
      <button type="submit">Come in</button>
    </form>
  );
}

function Room({ name }: { readonly name: string }): ReactElement {
  const { messages, publish, gap, error } = useChannel(ROOM, { rewind: 50 });
  const { members } = usePresence(ROOM);
  const { state } = useConnectionState();
  const [problem, setProblem] = useState("");
  const say = (event: FormEvent<HTMLFormElement>): void => {
    const text = textOf(event, "text");
    event.currentTarget.reset();
    // What is said without a connection is sent when it is back.
    publish({ text }).catch((reason: Error) => setProblem(`Not sent: ${reason.message}`));
  };
  const here = [...new Set(members.map(({ clientId }) => clientId))];
  return (
    <>
      <p role="status">
        {STATES[state]}: {here.join(", ")}
      </p>
      <ol aria-label="Messages">
        {messages.map(({ id, data, publisher }) => (
          <li key={id} data-mine={publisher.clientId === name}>
            <b>{publisher.clientId}</b> {data.text}
          </li>
        ))}
      </ol>
      {gap !== undefined && <p>Some earlier messages are no longer kept.</p>}
      <p role="alert">{error?.message ?? problem}</p>
      <form onSubmit={say}>
        <input name="text" aria-label="Message" maxLength={2000} autoComplete="off" required />
        <button type="submit">Send</button>
      </form>
    </>
  );
}

/** What stands in a field of a form that is sent. */
function textOf(event: FormEvent<HTMLFormElement>, field: string): string {
  event.preventDefault();
  return `${new FormData(event.currentTarget).get(field)}`.trim();
}

createRoot(document.getElementById("app") as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
