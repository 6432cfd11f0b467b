/** Why no project was made. */

export type FailureCode =
  | "BAD_ARGUMENTS"
  | "BAD_NAME"
  | "CANCELLED"
  | "CANNOT_WRITE"
  | "FOLDER_MISSING"
  | "FOLDER_NOT_EMPTY"
  | "NOT_A_FOLDER"
  | "TEMPLATE_MISSING"
  | "UNKNOWN_TEMPLATE";

/** An error whose message is one sentence for the terminal. */
export class Failure extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string) {
    super(message);
    this.name = "Failure";
    this.code = code;
  }
}
