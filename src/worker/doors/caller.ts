/** What the request of a call brings that the Connect library does not know. */
import {
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { KeepAlive } from "../../http/body.ts";
import type { KeyPeer } from "../../http/keys/keys.ts";
import type { Region } from "../placement.ts";
import { consoleLoggerAt } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";
import type { Gateways } from "../upgrade.ts";

export interface Caller {
  /** For the classes of the objects, and to end an answer that cannot end by itself. */
  readonly ctx: Pick<ExecutionContext, "exports" | "abort" | "waitUntil">;
  readonly gateways: Gateways;
  readonly keepAlive: KeepAlive;
  /** Where the request comes from. */
  readonly region: Region;
}

const CALLER = createContextKey<Caller | undefined>(undefined);

/** Values for the handler of a call, which finds them by `callerOf`. */
export function callerValues(caller: Caller): ContextValues {
  return createContextValues().set(CALLER, caller);
}

/** @throws Error for a call whose values are not of `callerValues` */
export function callerOf({ values }: Pick<HandlerContext, "values">): Caller {
  const caller = values.get(CALLER);
  if (caller === undefined) throw new Error("a call without its request");
  return caller;
}

/** Ends an answer whose client does not read, which no write to it ever finds out. */
export function abandon({ ctx }: Caller, { logLevel }: WorkerSettings, door: string): void {
  consoleLoggerAt(logLevel).info?.("a stream is cut whose client does not read", { door });
  ctx.abort("the client does not read");
}

/** Whom a request comes from, as Cloudflare says: no other header is believed. */
export function peerOf(request: Request): KeyPeer {
  const address = request.headers.get("CF-Connecting-IP") ?? "";
  const { protocol } = new URL(request.url);
  return { address, exposed: protocol === "http:" && !LOOPBACK.test(address) };
}

/** What comes from the machine itself, as with wrangler dev, has been on no network. */
const LOOPBACK = /^(127\.|::1$|$)/;
