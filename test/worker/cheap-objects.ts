/**
 * Spares objects what the tool does before each of their calls: it has an object of its own import the Worker's module, to see
 * whether a file was edited meanwhile. That is a call between objects, or two, for each call, message and alarm, and most of
 * what an object costs. In a run nothing is edited: an object is looked after when it is made, and not again.
 */
import { DurableObject } from "cloudflare:workers";

/** What the tool calls its look. */
const LOOK = "kEnsureInstance";

type Look = (this: object) => Promise<object>;

/** From now on the classes that the tool puts around those of the Worker look once for each of their objects. */
export function spareObjects(): void {
  const { construct } = Reflect;
  // A file before this one in the same workerd has done it.
  if (construct.name === sparingConstruct.name) return;
  function sparingConstruct(...[target, args, made]: Parameters<typeof construct>): unknown {
    if (target === DurableObject && made !== undefined) lookOnce(made.prototype);
    return construct(target, args, made ?? target);
  }
  Reflect.construct = sparingConstruct as typeof construct;
}

function lookOnce(wrapper: Record<symbol, Look | undefined>): void {
  const name = Object.getOwnPropertySymbols(wrapper).find(
    ({ description }) => description === LOOK,
  );
  const look = name && wrapper[name];
  // Another version of it may need none of this, or something else.
  if (name === undefined || look === undefined) throw new Error(`the tool has no ${LOOK}`);
  if (look.name === sparingLook.name) return;
  const first: Look = look;
  const found = new WeakMap<object, object>();
  async function sparingLook(this: object): Promise<object> {
    const known = found.get(this) ?? (await first.call(this));
    found.set(this, known);
    return known;
  }
  wrapper[name] = sparingLook;
}
