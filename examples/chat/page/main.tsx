/** A chat room: what was said before, who is here, and nothing lost when the network goes and comes back. */
import { type FormEvent, type ReactElement, StrictMode, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { WORDS } from "../../status.ts";
import { MessageLoopProvider, useChannel, useConnectionState, usePresence } from "./hooks.ts";

const ROOM = "chat.lobby";

function App(): ReactElement {
  const [name, setName] = useState("");
  if (name === "") return <Door onEnter={setName} />;
  // A name that a client has given itself proves nothing: examples/worker has users who have signed in.
  return (
    <MessageLoopProvider url="/ws" options={{ clientId: name }}>
      <Room name={name} />
    </MessageLoopProvider>
  );
}

function Door({ onEnter }: { readonly onEnter: (name: string) => void }): ReactElement {
  const enter = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const name = new FormData(event.currentTarget).get("name");
    onEnter(`${name}`.trim());
  };
  return (
    <form className="door" onSubmit={enter}>
      <h1>Who are you?</h1>
      <label htmlFor="name">Others see this name.</label>
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
  const [problem, setProblem] = useState("");
  const say = (text: string): void => {
    setProblem("");
    publish({ text }).catch((reason: Error) => setProblem(`Not sent: ${reason.message}.`));
  };
  return (
    <>
      <header>
        <h1>Lobby</h1>
        <Connection />
        <People name={name} />
      </header>
      <Messages>
        {messages.map(({ id, data, publisher, time }) => (
          <li key={id} data-mine={publisher.clientId === name}>
            <span className="who">{publisher.clientId || "somebody"}</span>
            <time dateTime={new Date(time).toISOString()}>{clock(time)}</time>
            <p>{data.text}</p>
          </li>
        ))}
      </Messages>
      {gap !== undefined && <p className="note">Some earlier messages are no longer available.</p>}
      <p className="problem" role="alert">
        {error?.message ?? problem}
      </p>
      <Composer onSay={say} />
    </>
  );
}

function Connection(): ReactElement {
  const { state } = useConnectionState();
  return (
    <p className="status" role="status" data-state={state}>
      {WORDS[state]}
    </p>
  );
}

function People({ name }: { readonly name: string }): ReactElement {
  const { members } = usePresence(ROOM);
  const names = [...new Set(members.map(({ clientId }) => clientId))];
  return (
    <ul className="people" aria-label="Here now">
      {names.map((one) => (
        <li key={one}>{one === name ? `${one} (you)` : one}</li>
      ))}
    </ul>
  );
}

/** The list, which stays at its end unless somebody reads further up. */
function Messages({ children }: { readonly children: readonly ReactElement[] }): ReactElement {
  const list = useRef<HTMLOListElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isAtEnd.current) list.current?.scrollTo({ top: list.current.scrollHeight });
  });
  const look = (): void => {
    const { scrollHeight = 0, scrollTop = 0, clientHeight = 0 } = list.current ?? {};
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < 40;
  };
  return (
    <ol className="messages" ref={list} onScroll={look} aria-live="polite" aria-label="Messages">
      {children.length > 0 ? children : <li className="empty">Nothing has been said yet.</li>}
    </ol>
  );
}

function Composer({ onSay }: { readonly onSay: (text: string) => void }): ReactElement {
  const [text, setText] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (text.trim() === "") return;
    onSay(text.trim());
    setText("");
  };
  return (
    <form className="composer" onSubmit={submit}>
      <label className="hidden" htmlFor="text">
        Message
      </label>
      <input
        id="text"
        value={text}
        onChange={({ target }) => setText(target.value)}
        placeholder="Say something"
        autoComplete="off"
        maxLength={2000}
      />
      <button type="submit">Send</button>
    </form>
  );
}

function clock(time: number): string {
  return new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

createRoot(document.getElementById("app") as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
