/**
 * The part of the `cloudevents` package that is used, in the place of its own declarations: those need Node's, which a
 * program for pages has not.
 */

/** An event. What its constructor makes of one without a time has the time of that moment. */
export declare class CloudEvent {
  id: string;
  source: string;
  specversion: string;
  type: string;
  time?: string;
  data?: unknown;
  [extension: string]: unknown;
  constructor(event?: Readonly<Record<string, unknown>>);
  toJSON(): Record<string, unknown>;
}
