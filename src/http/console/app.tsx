/** The console: the sign-in, and the view that is open after it. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Operator, type SignedIn } from "./hooks.ts";
import { dropKey, keepKey, keptKey } from "./key-store.ts";
import { Name } from "./parts/text.tsx";
import { hashOf, type Route, useRoute } from "./routes.ts";
import { Samples } from "./samples.ts";
import { failureText, type Right, ServerApi, type Status } from "./server-api.ts";
import { Access } from "./views/access.tsx";
import { ChannelView } from "./views/channel.tsx";
import { Channels } from "./views/channels.tsx";
import { Nodes } from "./views/nodes.tsx";
import { Publish } from "./views/publish.tsx";
import { Sessions } from "./views/sessions.tsx";
import { Settings } from "./views/settings.tsx";
import { SignIn } from "./views/sign-in.tsx";
import { Tail } from "./views/tail.tsx";
import { Trace } from "./views/trace.tsx";

interface Inside {
  readonly api: ServerApi;
  readonly status: Status;
}

/** Between two looks at the nodes, in milliseconds. Gateways of Workers report no more often. */
const LOOK_MS = 5_000;
const WORKER_LOOK_MS = 10_000;

function signedIn(inside: Inside, leave: SignedIn["leave"]): SignedIn {
  const { patterns = [], rights = [] } = inside.status.key;
  const may = (right: Right): boolean => rights.includes(right);
  const mayEverywhere = (right: Right): boolean => may(right) && patterns.includes("**");
  return { ...inside, leave, may, mayEverywhere };
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
  const operator = useMemo(() => inside && signedIn(inside, leave), [inside, leave]);
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
  ["Trace", { view: "trace", of: "user", name: "" }],
  ["Nodes", { view: "nodes" }],
  ["Access", { view: "access" }],
  ["Settings", { view: "settings" }],
];

/** Whether a key can do anything in a view. */
function isFor(view: Route["view"], { may, mayEverywhere }: SignedIn): boolean {
  if (view === "publish") return may("publish");
  if (view === "trace") return may("trace");
  if (view === "settings") return mayEverywhere("manage");
  return !["sessions", "nodes", "access"].includes(view) || mayEverywhere("read");
}

function Shell({ operator }: { readonly operator: SignedIn }) {
  const { leave, status } = operator;
  const route = useRoute();
  const samples = useSamples(operator, route.view === "nodes");
  const main = useRef<HTMLElement>(null);
  const menu = useRef<HTMLElement>(null);
  const place = hashOf(route);
  const isFirst = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a screen reader reads the view that a new address opens.
  useEffect(() => {
    if (!isFirst.current) main.current?.querySelector<HTMLElement>("#title")?.focus();
    isFirst.current = false;
    // On a phone the menu is a row that scrolls.
    menu.current
      ?.querySelector("[aria-current]")
      ?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [place]);
  const places = PLACES.filter(([, { view }]) => isFor(view, operator));
  const here = route.view === "channel" ? "channels" : route.view;
  return (
    <>
      <header class="top">
        <a class="skip" href={place} onClick={(event) => skip(event, main.current)}>
          To the content
        </a>
        <p class="brand">MessageLoop</p>
        <nav ref={menu} aria-label="Console">
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
    case "trace":
      return <Trace key={hashOf(route)} of={route.of} name={route.name} />;
    case "nodes":
      return <Nodes samples={samples} />;
    case "access":
      return <Access />;
    case "settings":
      return <Settings />;
    default:
      return <Channels />;
  }
}

/** The address stays what it is. */
function skip(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.querySelector<HTMLElement>("#title")?.focus();
}

/**
 * What the nodes do, whichever view is open. Of Workers it is asked for only where it is looked at: each look asks the
 * counters of every region.
 */
function useSamples({ api, mayEverywhere, status }: SignedIn, isOpen: boolean): Samples {
  const samples = useRef(new Samples());
  const isServer = status.host === "server";
  const isWanted = mayEverywhere("read") && (isServer || isOpen);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a view that opens shows the state of that moment.
  useEffect(() => {
    if (!isWanted) return;
    const look = (): void => {
      if (!isServer && document.visibilityState !== "visible") return;
      // What cannot be had now leaves a hole in the curve.
      api.call("Nodes", {}).then(
        (page) => samples.current.add(page),
        (error: unknown) => samples.current.failed(failureText(error)),
      );
    };
    look();
    const timer = setInterval(look, isServer ? LOOK_MS : WORKER_LOOK_MS);
    return () => clearInterval(timer);
  }, [api, isServer, isWanted, isOpen]);
  return samples.current;
}
