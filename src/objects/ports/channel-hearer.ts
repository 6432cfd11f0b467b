/** Hears whether a channel has subscribers by its name. */
export interface ChannelHearer {
  /** Called in the step that makes the difference, so that what is kept of it becomes durable with it. */
  changed(occupied: boolean): void;
  /** When something has to be seen to that was not reported yet, Unix milliseconds; undefined where all was. */
  readonly due: number | undefined;
  /** The alarm has come. */
  wake(): void;
  /** The object has forgotten everything. */
  forgotten(): void;
}
