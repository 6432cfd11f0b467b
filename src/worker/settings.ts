/** Settings as a Worker gets them: the table `messageloop` among its variables. */
import { parseSettings, type Settings } from "../engine/settings.ts";

/** An isolate sees one environment; the objects in it need not check the same table again. */
const known = new WeakMap<object, Settings>();

/** @throws SettingsError naming the path of each setting that is wrong. */
export function settingsOf(env: object): Settings {
  let settings = known.get(env);
  if (settings === undefined) {
    settings = parseSettings((env as { readonly messageloop?: unknown }).messageloop);
    known.set(env, settings);
  }
  return settings;
}
