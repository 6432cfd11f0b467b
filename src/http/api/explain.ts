/** Why a user may or may not do something, for an operator. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { explainAsked, QuestionProblem } from "../../access/explain.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type {
  ExplainRequest,
  ExplainResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_GRANTS } from "../../protocol/limits.ts";
import { type ApiCall, checkMost } from "./context.ts";

/**
 * Answers whether somebody may do something, and by which rules. No backend is asked, which may say otherwise.
 *
 * @throws MessagingError ACL_ERROR without the right to read everywhere; BAD_REQUEST for a question that is none
 */
export function explain(
  { engine, principal }: ApiCall,
  { action, channel, clientId, grants, user }: ExplainRequest,
): MessageInitShape<typeof ExplainResponseSchema> {
  principal.checkEverywhere("read");
  checkMost(grants?.grants.length ?? 0, MAX_GRANTS, "grants");
  try {
    const { allowed, reasons } = explainAsked(engine.settings.access, {
      user,
      action,
      channel,
      client: clientId,
      grants: grants?.grants,
    });
    return { allowed, reasons: [...reasons] };
  } catch (error) {
    if (error instanceof QuestionProblem) throw new MessagingError("BAD_REQUEST", error.message);
    throw error;
  }
}
