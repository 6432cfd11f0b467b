/**
 * Counts what Cloudflare bills, around a program that knows nothing of it: what the runtime gives to the program's
 * Worker and to its objects counts what goes through it. For Workers that use `ctx.exports`, `setTimeout` and SQL.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Counts } from "../counts.ts";

/** The path that answers the counts so far as JSON. */
const COUNTS_PATH = "/bench/counts";

let workerRequests = 0;
let messages = 0;
let alarms = 0;
let alarmsSet = 0;
let lostTimers = 0;
const calls = new Map<string, number>();
const awakeMs = new Map<string, number>();
/** Those whose rows are still to be counted: a cursor knows them when it was read to its end. */
let cursors: { readonly rowsRead: number; readonly rowsWritten: number }[] = [];
let rowsRead = 0;
let rowsWritten = 0;

/** How long one object cannot sleep: the time in which at least one thing is under way. */
class Wakefulness {
  readonly #class: string;
  #underWay = 0;
  #since = 0;

  constructor(className: string) {
    this.#class = className;
  }

  begin(): void {
    if (this.#underWay === 0) {
      this.#since = Date.now();
      awake.add(this);
    }
    this.#underWay += 1;
  }

  end(): void {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    this.count();
    awake.delete(this);
  }

  /** Counts its time until now. */
  count(): void {
    const now = Date.now();
    add(awakeMs, this.#class, now - this.#since);
    this.#since = now;
  }

  /** Something is under way until it returns, or until the promise that it returns is settled. */
  during<T>(run: () => T): T {
    this.begin();
    let result: T;
    try {
      result = run();
    } catch (error) {
      this.end();
      throw error;
    }
    if (result instanceof Promise) return result.finally(() => this.end()) as T;
    this.end();
    return result;
  }
}

/** Those that cannot sleep now. */
const awake = new Set<Wakefulness>();
/** In whose name code runs: an object's, or that of the Worker, whose time is not billed. */
const owner = new AsyncLocalStorage<Wakefulness | "worker">();
const wakefulnessOf = new WeakMap<object, Wakefulness>();

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Constructor = new (ctx: DurableObjectState, env: Env) => object;

/** An object's class, except that it counts. */
export function around(className: string, Original: Constructor): Constructor {
  class Counted extends Original {}
  for (const [name, method] of methodsOf(Original.prototype)) {
    Object.defineProperty(Counted.prototype, name, {
      value(this: object, ...args: unknown[]): unknown {
        if (name === "webSocketMessage") messages += 1;
        else if (name === "alarm") alarms += 1;
        const wakefulness = wakefulnessOf.get(this);
        // Only its constructor has none yet, and that one's time is counted already.
        if (wakefulness === undefined) return method.apply(this, args);
        return owner.run(wakefulness, () => wakefulness.during(() => method.apply(this, args)));
      },
    });
  }
  return new Proxy(Counted, {
    construct(target, args: [DurableObjectState, Env], newTarget: typeof Counted) {
      const wakefulness = new Wakefulness(className);
      const [ctx] = args;
      tap(ctx, wakefulness);
      tapStorage(ctx.storage, wakefulness);
      const object = owner.run(wakefulness, () =>
        wakefulness.during(() => Reflect.construct(target, args, newTarget)),
      );
      wakefulnessOf.set(object, wakefulness);
      return object;
    },
  });
}

/** The Worker in front, except that it counts, and answers the counts. */
export function front(program: ExportedHandler<Env>): ExportedHandler<Env> {
  return {
    async fetch(request, env, ctx) {
      if (new URL(request.url).pathname === COUNTS_PATH) return Response.json(countsNow());
      workerRequests += 1;
      tap(ctx, undefined);
      return await owner.run("worker", async () => {
        return (await program.fetch?.(request, env, ctx)) ?? new Response(null, { status: 404 });
      });
    },
  };
}

function countsNow(): Counts {
  for (const cursor of cursors) {
    rowsRead += cursor.rowsRead;
    rowsWritten += cursor.rowsWritten;
  }
  cursors = [];
  for (const wakefulness of awake) wakefulness.count();
  return {
    workerRequests,
    calls: Object.fromEntries(calls),
    messages,
    alarms,
    rowsRead,
    rowsWritten: rowsWritten + alarmsSet,
    awakeMs: Object.fromEntries(awakeMs),
    lostTimers,
  };
}

/** Has calls of other objects counted, in the name of an object or of nobody. */
function tap(ctx: DurableObjectState | ExecutionContext, caller: Wakefulness | undefined): void {
  const stubOf = (className: string, stub: object): object =>
    intercepted(stub, (method, call) => (...args) => {
      add(calls, `${className}.${method}`, 1);
      // What a stub answers is no promise, but can be awaited.
      const answer = (): Promise<unknown> => Promise.resolve(call(...args));
      return caller === undefined ? answer() : caller.during(answer);
    });
  const classes = new Proxy(ctx.exports as object, {
    get(target, className) {
      const entry: unknown = Reflect.get(target, className);
      if (entry === null || entry === undefined || typeof className === "symbol") return entry;
      return intercepted(entry, (method, call) => (...args) => {
        const result = call(...args);
        const found = method === "get" || method === "getByName";
        return found ? stubOf(className, result as object) : result;
      });
    },
  });
  Object.defineProperty(ctx, "exports", { value: classes });
}

/** Has queries and alarms counted, and the time of what the storage does. */
function tapStorage(storage: DurableObjectStorage, wakefulness: Wakefulness): void {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, "exec", {
    value(...args: Parameters<SqlStorage["exec"]>) {
      const cursor = exec(...args);
      cursors.push(cursor);
      return cursor;
    },
  });
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(storage, "setAlarm", {
    value(...args: Parameters<DurableObjectStorage["setAlarm"]>) {
      alarmsSet += 1;
      return wakefulness.during(() => setAlarm(...args));
    },
  });
}

/** An object of the runtime with other methods; those check that they are called on what they belong to. */
function intercepted(
  target: object,
  instead: (name: string, call: (...args: unknown[]) => unknown) => (...args: unknown[]) => unknown,
): object {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function" || typeof name === "symbol") return value;
      return instead(name, (...args) => Reflect.apply(value, target, args));
    },
  });
}

/** Methods of a class and of those that it extends, but for the runtime's own. */
function methodsOf(prototype: object): ReadonlyMap<string, Method> {
  const methods = new Map<string, Method>();
  for (let at = prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (name === "constructor" || typeof value !== "function" || methods.has(name)) continue;
      methods.set(name, value);
    }
  }
  return methods;
}

function add(map: Map<string, number>, key: string, value: number): void {
  map.set(key, (map.get(key) ?? 0) + value);
}

/** A timer keeps its object awake. */
const runtime = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
const timers = new Map<unknown, Wakefulness>();

function endTimer(id: unknown): void {
  timers.get(id)?.end();
  timers.delete(id);
}

Object.assign(globalThis, {
  setTimeout(callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): unknown {
    const wakefulness = owner.getStore();
    if (wakefulness === undefined) lostTimers += 1;
    const id: unknown = runtime.setTimeout(() => {
      try {
        callback(...args);
      } finally {
        endTimer(id);
      }
    }, ms);
    if (wakefulness instanceof Wakefulness) {
      wakefulness.begin();
      timers.set(id, wakefulness);
    }
    return id;
  },
  clearTimeout(id: number | null): void {
    endTimer(id);
    runtime.clearTimeout(id);
  },
});
