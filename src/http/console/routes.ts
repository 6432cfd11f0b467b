/** The view that is open: it stands after the `#` of the address, which no server sees. The key is never there. */
import { useEffect, useState } from "preact/hooks";

export type Route =
  | { readonly view: "channels" }
  | { readonly view: "channel"; readonly channel: string; readonly part: ChannelPart }
  | { readonly view: "tail"; readonly pattern: string }
  | { readonly view: "publish"; readonly channel: string }
  | { readonly view: "sessions"; readonly user: string }
  | { readonly view: "trace"; readonly of: "user" | "channel"; readonly name: string }
  | { readonly view: "nodes" }
  | { readonly view: "access" }
  | { readonly view: "settings" };

export const CHANNEL_PARTS = ["history", "live", "members"] as const;
export type ChannelPart = (typeof CHANNEL_PARTS)[number];

/**
 * The address of a view.
 *
 * @example
 * hashOf({ view: "channel", channel: "chat.room", part: "live" }); // "#/channel/chat.room/live"
 */
export function hashOf(route: Route): string {
  switch (route.view) {
    case "channel":
      return `#/channel/${encoded(route.channel)}/${route.part}`;
    case "tail":
      return `#/tail/${encoded(route.pattern)}`;
    case "publish":
      return `#/publish/${encoded(route.channel)}`;
    case "sessions":
      return `#/sessions/${encoded(route.user)}`;
    case "trace":
      return `#/trace/${route.of}/${encoded(route.name)}`;
    default:
      return `#/${route.view}`;
  }
}

/**
 * The view of an address, which anybody may have typed: one that names no view opens the list of channels.
 *
 * @example
 * routeOf("#/channel/chat.room"); // { view: "channel", channel: "chat.room", part: "history" }
 */
export function routeOf(hash: string): Route {
  const [, view, name = "", part] = hash.split("/");
  const text = decoded(name);
  switch (view) {
    case "channel":
      return { view, channel: text, part: CHANNEL_PARTS.find((one) => one === part) ?? "history" };
    case "tail":
      return { view, pattern: text };
    case "publish":
      return { view, channel: text };
    case "sessions":
      return { view, user: text };
    case "trace":
      return { view, of: text === "channel" ? text : "user", name: decoded(part ?? "") };
    case "nodes":
    case "access":
    case "settings":
      return { view };
    default:
      return { view: "channels" };
  }
}

export function go(route: Route): void {
  location.hash = hashOf(route);
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const changed = (): void => setRoute(routeOf(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

/** A name may hold half of a pair of surrogates, which has no form in an address. */
function encoded(name: string): string {
  return encodeURIComponent(name.toWellFormed());
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
