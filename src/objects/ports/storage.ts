/** What an object's storage does beside keeping rows. */
export interface ObjectStorage {
  /**
   * Has the object's `alarm` called at this time, Unix milliseconds, in place of the time that was set
   * before. A later life of the object is called as well as this one.
   */
  setAlarm(at: number): unknown;
  /** Takes out all that the object keeps, and its alarm. The next caller finds it new. */
  forget(): Promise<unknown>;
}
