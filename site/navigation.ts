/** What the sidebar lists, in its order. Each page of the site is listed once. */

export interface Section {
  readonly text: string;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

export const SECTIONS: readonly Section[] = [
  section("Start", {
    Quickstart: "/quickstart",
    "MessageLoop and its peers": "/comparison",
    "Cost calculator": "/cost-calculator",
  }),
  section("Guides", {
    "A chat": "/guides/chat",
    "A live dashboard": "/guides/dashboard",
    Notifications: "/guides/notifications",
    Presence: "/guides/presence",
    "Users who have signed in": "/guides/sign-in",
    "Calls to your service (RPC)": "/guides/rpc",
    Webhooks: "/guides/webhooks",
    "Deploy on Cloudflare": "/guides/cloudflare",
    "Self-hosted with Redis": "/guides/redis",
    "All cores of one machine": "/threads",
    Scaling: "/guides/scaling",
  }),
  section("Build", {
    "The client": "/client",
    React: "/react",
    Offline: "/offline",
    "One connection for all tabs": "/shared",
    "Server-sent events": "/sse",
    "Streams without WebSocket": "/streams",
    "History by URL": "/history",
    Surveys: "/surveys",
    "Clients in other languages": "/clients",
    "Browsers and runtimes": "/runtimes",
  }),
  section("Your service", {
    Authentication: "/authentication",
    Authorization: "/authorization",
    Backends: "/backends",
    "Lifecycle hooks": "/hooks",
    "CloudEvents over HTTP": "/cloudevents",
    "Inside your own program": "/embedding",
  }),
  section("Run it", {
    Configuration: "/configuration",
    "On Cloudflare": "/cloudflare",
    "Self-hosted": "/operations",
    "Containers, systemd, Kubernetes": "/deploy",
    "Scaling on Cloudflare": "/scaling",
    Console: "/console",
    Traces: "/tracing",
  }),
  section("Come from", {
    "Socket.IO": "/migrate-from-socket-io",
    Centrifugo: "/migrate-from-centrifugo",
    Ably: "/migrate-from-ably",
    "Pusher Channels": "/migrate-from-pusher",
  }),
  section("Reference", {
    "Settings and limits": "/limits",
    "Errors and close codes": "/spec#e-errors-and-close-codes",
    Metrics: "/operations#metrics",
    "Server API": "/reference/server-api",
    SDK: "/reference/sdk/",
    "The protocol": "/spec",
  }),
];

function section(text: string, pages: Readonly<Record<string, string>>): Section {
  return { text, items: Object.entries(pages).map(([name, link]) => ({ text: name, link })) };
}
