/** Events of the command line: made from arguments and standard input. */
import type { Command } from "commander";
import type { CloudEvent } from "../../client/core/cloud-event.ts";
import { createCloudEvent } from "../../client/core/create-event.ts";
import { EXIT_WRONG, Failure } from "./failure.ts";

export interface EventOptions {
  readonly type?: string;
  readonly source: string;
  readonly id?: string;
  readonly contentType?: string;
}

/** What the help of every command with DATA says about it. */
export const DATA_HELP = `DATA "-" stands for standard input. Text is sent as text/plain, bytes that are no UTF-8
as application/octet-stream, unless --content-type says otherwise.`;

/** @param type the event's type when the option is not used, for the help */
export function addEventOptions(command: Command, type: string): Command {
  return command
    .option("--type <type>", `the event's type (default: ${type})`)
    .option("--source <source>", "the event's source", "/messageloop/cli")
    .option("--id <id>", "the event's id (default: a random UUID)")
    .option("--content-type <type>", "the data's content type, such as application/json");
}

/**
 * The event that the options and the data make.
 *
 * @param type the event's type when the option is not used
 * @throws Failure for what cannot be an event
 */
export function eventOf(
  { id, source, contentType, ...options }: EventOptions,
  type: string,
  data: string | Uint8Array | undefined,
): CloudEvent {
  const init = {
    source,
    type: options.type ?? type,
    ...(id === undefined ? {} : { id }),
    ...(data === undefined ? {} : { data }),
    ...(contentType === undefined ? {} : { datacontenttype: contentType }),
  };
  try {
    return createCloudEvent(init);
  } catch (error) {
    throw error instanceof TypeError ? new Failure(error.message, EXIT_WRONG) : error;
  }
}

/** Everything on standard input; bytes when it is no text. */
export async function readInput(): Promise<string | Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return new Uint8Array(bytes);
  }
}
