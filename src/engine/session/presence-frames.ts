/** Frames about presence that answer no request: made once for all receivers of the same form. */
import type { PresenceChange, Snapshot } from "../../channels/presence.ts";
import { codecFor, type Encoding } from "../../protocol/codec.ts";
import { type OutboundEnvelope, unsolicited } from "../../protocol/envelopes.ts";
import { SharedFrame, sized } from "../../protocol/publication-frames.ts";
import type { Clock, Random } from "../ports/platform.ts";
import { uint64Of } from "../subscription/positions.ts";
import { fitPresence } from "./frame-limit.ts";
import { memberMessage, presencePage } from "./queries.ts";

/** What stamps a frame. */
export interface Stamp {
  readonly clock: Clock;
  readonly random: Random;
}

/** A member has come or gone. */
export function changeFrame(
  stamp: Stamp,
  channel: string,
  epoch: string,
  { member, joined, generation }: PresenceChange,
): SharedFrame {
  return new SharedFrame((encoding) =>
    encoded(stamp, encoding, {
      case: "presenceEvent",
      value: {
        channel,
        change: { case: joined ? "join" : "leave", value: memberMessage(member) },
        generation: { epoch, number: uint64Of(generation) },
      },
    }),
  );
}

/** All members, as many as there is room for. */
export function membersFrame(
  stamp: Stamp,
  channel: string,
  epoch: string,
  snapshot: Snapshot,
  maxBytes: number,
): SharedFrame {
  return new SharedFrame((encoding, maxFrameBytes) => {
    const all = presencePage(channel, epoch, snapshot, maxBytes);
    const frame = (room: number | undefined) =>
      encoded(stamp, encoding, { case: "presence", value: fitPresence(all, encoding, room) });
    if (maxFrameBytes === 0) return frame(undefined);
    // Without room it holds one member, which is more than what stands beside the members.
    return frame(maxFrameBytes - sized(frame(0)).bytes);
  });
}

function encoded({ clock, random }: Stamp, encoding: Encoding, envelope: OutboundEnvelope) {
  return codecFor(encoding).encodeOutbound(unsolicited(random.uuid(), clock.now(), envelope));
}
