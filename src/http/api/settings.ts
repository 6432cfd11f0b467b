/** What the server API says of the settings that are in force. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SettingInForce } from "../../engine/settings/in-force.ts";
import type { SettingsResponseSchema } from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import type { ApiCall } from "./context.ts";

export interface SettingsHost {
  /** In the order of the configuration, without secrets. */
  readonly settingsInForce: () => readonly SettingInForce[];
}

/**
 * Answers each setting with its value and where that comes from. What is secret is not among them.
 *
 * @throws MessagingError ACL_ERROR without the right to manage everywhere
 */
export function settings(
  { principal }: ApiCall,
  { settingsInForce }: SettingsHost,
): MessageInitShape<typeof SettingsResponseSchema> {
  principal.checkEverywhere("manage");
  return { settings: settingsInForce().map((setting) => ({ ...setting })) };
}
