/** The page of the server API, from its OpenAPI document. */
import { OPENAPI } from "../src/http/api/gen/openapi.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly enum?: readonly unknown[];
  readonly allOf?: readonly Schema[];
}

interface Call {
  readonly operationId: string;
  readonly summary?: string;
  readonly description?: string;
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>;

interface Document {
  readonly info: { readonly description: string };
  readonly paths: Readonly<Record<string, { readonly post?: Call }>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const PREFIX = "#/components/schemas/";
const document = OPENAPI as unknown as Document;

/** @returns the page as Markdown, and the document itself */
export function serverApi(): { readonly page: string; readonly document: string } {
  const calls = Object.entries(document.paths).flatMap(([path, { post }]) =>
    post === undefined ? [] : [callOf(path, post)],
  );
  const messages = Object.entries(document.components.schemas).map(messageOf);
  const page = `# Server API

${document.info.description}

Written from the [OpenAPI document](/openapi.json), which a server has at \`/openapi.json\` as well. How a backend uses it is in
[Operating a self-hosted server](../operations.md#the-server-api); keys are made by \`messageloop key\`.

${calls.join("\n")}
## Messages

${messages.join("\n")}`;
  return { page, document: `${JSON.stringify(OPENAPI, null, 2)}\n` };
}

function callOf(path: string, call: Call): string {
  const asked = call.requestBody?.content["application/json"]?.schema;
  const answered = call.responses["200"]?.content?.["application/json"]?.schema;
  return `## ${call.operationId}

\`POST ${path}\`

${escaped(call.description ?? call.summary ?? "")}

Asked with ${typeOf(asked)}, answered with ${typeOf(answered)}.
`;
}

function messageOf([name, schema]: readonly [string, Schema]): string {
  const rows = Object.entries(schema.properties ?? {}).map(
    ([field, its]) => `| \`${field}\` | ${typeOf(its)} | ${cell(its.description ?? "")} |`,
  );
  const table = ["| field | type | meaning |", "| --- | --- | --- |", ...rows].join("\n");
  return `### ${name}

${escaped(schema.description ?? "")}

${rows.length > 0 ? `${table}\n` : ""}`;
}

function typeOf(schema: Schema | undefined): string {
  if (schema === undefined) return "nothing";
  const { $ref, allOf, items, additionalProperties, type } = schema;
  const [base] = allOf ?? [];
  if ($ref === undefined && base !== undefined) return typeOf(base);
  if ($ref?.startsWith(PREFIX)) {
    const name = $ref.slice(PREFIX.length);
    return `[${name.replace(/^.*\.v\d+\./, "")}](#${name.toLowerCase().replaceAll(".", "")})`;
  }
  if (items !== undefined) return `list of ${typeOf(items)}`;
  if (typeof additionalProperties === "object") return `map to ${typeOf(additionalProperties)}`;
  return typeof type === "string" ? type : (type?.join(" or ") ?? "any");
}

/** What stands for itself in Markdown, in which a page of the site would look for tags. */
function escaped(text: string): string {
  return text.replaceAll("<", "&lt;").replaceAll("{{", "&#123;{");
}

function cell(text: string): string {
  return escaped(text).replaceAll("|", "\\|").replaceAll("\n", " ");
}
