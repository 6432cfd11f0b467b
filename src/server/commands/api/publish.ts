/** `publish --api`: one event into a channel, by the server API. */
import type { CloudEvent } from "../../../client/core/cloud-event.ts";
import { toWireEvent } from "../../../client/v0/events.ts";
import { Failure } from "../failure.ts";
import { refusal, withApi } from "./connection.ts";
import type { ApiOptions } from "./options.ts";

export interface PublishTerms {
  readonly transient: boolean;
  /** Whether it is compared with what this key has published before. */
  readonly dedup: boolean;
}

/** Where an event stands, if it stands in a log. */
export interface Published {
  readonly epoch: string;
  readonly offset: bigint;
  readonly duplicate: boolean;
}

/** @throws Failure with the server's code where it refuses */
export async function publishByApi(
  options: ApiOptions,
  channel: string,
  event: CloudEvent,
  { transient, dedup }: PublishTerms,
): Promise<Published | undefined> {
  const publication = {
    destination: { channels: [channel] },
    // What is in no log is compared with nothing.
    options: { transient, dedup: dedup && !transient },
    payload: toWireEvent(event),
  };
  const { results } = await withApi(options, (api) => api.publish({ publications: [publication] }));
  const [result] = results;
  const [outcome] = result?.destinations ?? [];
  const error = result?.error ?? outcome?.error;
  if (error !== undefined) throw new Failure(refusal(error));
  const { position, duplicate = false } = outcome ?? {};
  return position && { epoch: position.epoch, offset: position.offset, duplicate };
}
