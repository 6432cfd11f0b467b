/** The console: the sign-in, and the view that is open after it. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Operator, type SignedIn } from "./hooks.ts";
import { dropKey, keepKey, keptKey } from "./key-store.ts";
import { Name } from "./parts/text.tsx";
import { hashOf, type Route, useRoute } from "./routes.ts";
import { SAMPLE_MS, Samples } from "./samples.ts";
import { failureText, ServerApi, type Status } from "./server-api.ts";
import { ChannelView } from "./views/channel.tsx";
import { Channels } from "./views/channels.tsx";
import { NodeView } from "./views/node.tsx";
import { Publish } from "./views/publish.tsx";
import { Sessions } from "./views/sessions.tsx";
import { SignIn } from "./views/sign-in.tsx";
import { Tail } from "./views/tail.tsx";

interface Inside {
  readonly api: ServerApi;
  readonly status: Status;
}

export function App() {
  const [inside, setInside] = useState<Inside | undefined>();
  const [problem, setProblem] = useState<string | undefined>();
  const [isBusy, setBusy] = useState(false);
  const enter = useCallback((key: string, keeps: boolean): void => {
    setBusy(true);
    setProblem(undefined);
    const api = new ServerApi(key);
    api
      .call("Status", {})
      .then(
        (status) => {
          if (keeps) keepKey(key);
          setInside({ api, status });
        },
        (error: unknown) => {
          dropKey();
          setProblem(failureText(error));
        },
      )
      .finally(() => setBusy(false));
  }, []);
  useEffect(() => {
    const key = keptKey();
    if (key !== undefined) enter(key, true);
  }, [enter]);
  const leave = useCallback((why?: string): void => {
    dropKey();
    setInside(undefined);
    setProblem(why);
  }, []);
  const operator = useMemo<SignedIn | undefined>(
    () =>
      inside && {
        ...inside,
        leave,
        may: (right) => inside.status.key.rights?.includes(right) === true,
      },
    [inside, leave],
  );
  if (operator === undefined) return <SignIn problem={problem} isBusy={isBusy} enter={enter} />;
  return (
    <Operator.Provider value={operator}>
      <Shell operator={operator} />
    </Operator.Provider>
  );
}

/** The places of the menu. */
const PLACES: readonly (readonly [title: string, route: Route])[] = [
  ["Channels", { view: "channels" }],
  ["Live tail", { view: "tail", pattern: "" }],
  ["Publish", { view: "publish", channel: "" }],
  ["Sessions", { view: "sessions", user: "" }],
  ["Node", { view: "node" }],
];

function Shell({ operator }: { readonly operator: SignedIn }) {
  const { leave, may, status } = operator;
  const route = useRoute();
  const samples = useSamples(operator);
  const main = useRef<HTMLElement>(null);
  const place = hashOf(route);
  const isFirst = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a screen reader reads the view that a new address opens.
  useEffect(() => {
    if (!isFirst.current) main.current?.querySelector<HTMLElement>("#title")?.focus();
    isFirst.current = false;
  }, [place]);
  const places = PLACES.filter(([, { view }]) => view !== "publish" || may("publish"));
  const here = route.view === "channel" ? "channels" : route.view;
  return (
    <>
      <header class="top">
        <a class="skip" href={place} onClick={(event) => skip(event, main.current)}>
          To the content
        </a>
        <p class="brand">MessageLoop</p>
        <nav aria-label="Console">
          {places.map(([title, to]) => (
            <a key={title} href={hashOf(to)} aria-current={to.view === here ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <p class="who">
          <span class="quiet">
            {status.host} {status.version}, key <Name of={status.key.id} />:{" "}
            {(status.key.rights ?? []).join(", ")}
          </span>
          <button type="button" class="plain" onClick={() => leave()}>
            Sign out
          </button>
        </p>
      </header>
      <main ref={main}>{viewOf(route, samples)}</main>
    </>
  );
}

function viewOf(route: Route, samples: Samples) {
  switch (route.view) {
    case "channel":
      return <ChannelView channel={route.channel} part={route.part} />;
    case "tail":
      return <Tail key={route.pattern} pattern={route.pattern} />;
    case "publish":
      return <Publish key={route.channel} channel={route.channel} />;
    case "sessions":
      return <Sessions key={route.user} user={route.user} />;
    case "node":
      return <NodeView samples={samples} />;
    default:
      return <Channels />;
  }
}

/** The address stays what it is. */
function skip(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.querySelector<HTMLElement>("#title")?.focus();
}

/** What the node does, from signing in on and whichever view is open. */
function useSamples({ api, status }: Inside): Samples {
  const samples = useRef(new Samples());
  useEffect(() => {
    const take = ({ nodes = [], as_of: at }: Status): void => {
      for (const node of nodes) samples.current.add({ at: Number(at), node });
    };
    take(status);
    if (status.nodes === undefined) return;
    const look = (): void => {
      // What cannot be had now leaves a hole in the curve.
      api.call("Status", {}).then(take, () => {});
    };
    const timer = setInterval(look, SAMPLE_MS);
    return () => clearInterval(timer);
  }, [api, status]);
  return samples.current;
}
