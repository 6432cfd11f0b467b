/**
 * The shop that MessageLoop asks. What it is sent is Protobuf JSON: docs/backends.md. In production it looks at the signature
 * of each request first, which that page explains as well.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Backend } from "../backend.ts";

const MOST_BYTES = 65_536;

interface Article {
  readonly cents: number;
  readonly stock: number;
}

const ARTICLES: Readonly<Record<string, Article>> = {
  kite: { cents: 2_490, stock: 40 },
  lantern: { cents: 1_850, stock: 12 },
  telescope: { cents: 18_900, stock: 3 },
};
/** From so many on each costs a tenth less. */
const MANY = 10;

interface RpcRequest {
  readonly method: string;
  readonly payload: { readonly text_data?: string };
}

export function start(): Backend {
  return {
    async answer(path, request) {
      if (path !== "/hooks" || request.headers["messageloop-hook"] !== "rpc") return undefined;
      const { method, payload } = JSON.parse(await textOf(request)) as RpcRequest;
      if (method !== "quote") return refusal("METHOD_NOT_FOUND", `there is no method ${method}`);
      return quote(JSON.parse(payload.text_data ?? "null"));
    },
  };
}

/** What the page asks comes from anybody: it is checked. */
function quote(asked: unknown): unknown {
  const { article: name, count } = (asked ?? {}) as { article?: unknown; count?: unknown };
  const article = typeof name === "string" && Object.hasOwn(ARTICLES, name) && ARTICLES[name];
  if (!article) return refusal("UNKNOWN_ARTICLE", "there is no such article");
  if (typeof count !== "number" || !Number.isInteger(count) || count < 1) {
    return refusal("BAD_COUNT", "the count is no whole number above 0");
  }
  if (count > article.stock) return refusal("OUT_OF_STOCK", `only ${article.stock} are left`);
  const full = article.cents * count;
  const cents = count >= MANY ? Math.round(full * 0.9) : full;
  return event({ cents, saved: full - cents });
}

function event(data: unknown): unknown {
  return {
    payload: {
      id: crypto.randomUUID(),
      source: "/shop",
      spec_version: "1.0",
      type: "shop.quote",
      attributes: { datacontenttype: { ce_string: "application/json" } },
      text_data: JSON.stringify(data),
    },
  };
}

/** Reaches the page as a MessagingError with this code. */
function refusal(code: string, message: string): unknown {
  return { error: { code, type: "shop", message } };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += (part as Buffer).length;
    if (size > MOST_BYTES) throw new Error("a request that is too large");
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString();
}
