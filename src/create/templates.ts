/** The templates, which lie beside the modules in the package and in the repository. */
import { fileURLToPath } from "node:url";
import { Failure } from "./failure.ts";

export interface Template {
  readonly name: string;
  /** One line for a choice. */
  readonly about: string;
  /** What has to run before the project is started; default nothing. */
  readonly needs?: string;
}

export const TEMPLATES: readonly Template[] = [
  { name: "worker", about: "the server on Cloudflare Workers, with a class of your own" },
  {
    name: "self-hosted",
    about: "the server on your own machines, with Redis",
    needs: "Redis 7 at localhost:6379, such as by: docker compose up -d",
  },
  { name: "chat", about: "a chat in React, with its server on Cloudflare Workers" },
];

/** @throws Failure UNKNOWN_TEMPLATE */
export function templateNamed(name: string): Template {
  const found = TEMPLATES.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = TEMPLATES.map((one) => one.name).join(", ");
  throw new Failure(
    "UNKNOWN_TEMPLATE",
    `there is no template ${JSON.stringify(name)}; there are ${names}`,
  );
}

/** The folder of a template's files. */
export function folderOf({ name }: Template): string {
  return fileURLToPath(new URL(`../../templates/${name}/`, import.meta.url));
}
