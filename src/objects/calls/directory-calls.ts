/** The messages of users' objects and of counters in the words of the ports. */
import { create, toBinary } from "@bufbuild/protobuf";
import type {
  ChannelPage,
  ChannelQuery,
  RegionReport,
  UserSession,
} from "../../engine/ports/directory.ts";
import type { Incident, IncidentKind } from "../../engine/ports/incidents.ts";
import type { Revocation } from "../../engine/ports/revocations.ts";
import {
  FiguresRequestSchema,
  GatewayFiguresSchema,
  type IncidentRecord,
  IncidentRecordSchema,
  ListRequestSchema,
  ListResponseSchema,
  NodeCallSchema,
  RegionFiguresSchema,
  ReportRequestSchema,
  type Revocation as RevocationMessage,
  RevocationSchema,
  UserSessionsAnswerSchema,
  UserSessionsRequestSchema,
  UserSessionsResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { StatsStub, UserStub } from "../ports/calls.ts";
import type { GatewayCounts, ReportRow } from "../ports/report-store.ts";
import { readAnswer } from "./answers.ts";
import { encode } from "./encode.ts";

/** Shortest time between two reports of a channel or a gateway, in milliseconds, and the longest that a change waits for one. */
export const REPORT_EVERY_MS = 10_000;

/** Incidents that a gateway reports, and that its region remembers of it. */
export const MAX_REPORTED_INCIDENTS = 20;

/** What has changed among a user's sessions at a gateway. */
export interface UserChange {
  readonly gateway: string;
  readonly sequence: number;
  readonly joined: readonly UserSession[];
  readonly left: readonly string[];
  /** `joined` is all of the gateway's sessions of the user. */
  readonly complete: boolean;
  /** Ids of those among `joined` that are still being connected. */
  readonly connecting: ReadonlySet<string>;
  /** Sessions that the user may have; 0 for any number. */
  readonly limit: number;
}

/** A change as a `messageloop.internal.v1.UserSessionsRequest`. */
export function encodeUserChange({
  sequence,
  joined,
  left,
  connecting,
  ...rest
}: UserChange): Uint8Array {
  return encode(UserSessionsRequestSchema, {
    ...rest,
    sequence: BigInt(sequence),
    joined: joined.map(({ sessionId, since }) => ({
      sessionId,
      since: BigInt(since),
      connecting: connecting.has(sessionId),
    })),
    left: [...left],
  });
}

/** What became of a change. */
export interface UserChangeAnswer {
  /** Ids of sessions that have not joined: they were one too many. */
  readonly refused: ReadonlySet<string>;
  readonly revocations: readonly Revocation[];
}

/** @param bytes undefined of an object of an older version, which answered nothing */
export function userChangeAnswer(bytes: Uint8Array | undefined): UserChangeAnswer {
  if (bytes === undefined) return { refused: new Set(), revocations: [] };
  const { refused, revocations } = readAnswer(UserSessionsAnswerSchema, bytes);
  return { refused: new Set(refused), revocations: revocations.map(revocationOf) };
}

/**
 * @param refused ids of sessions that are one too many
 * @param revocations of the user, as far as they are not over
 */
export function encodeUserChangeAnswer(
  refused: readonly string[],
  revocations: readonly Revocation[],
): Uint8Array {
  return encode(UserSessionsAnswerSchema, {
    refused: [...refused],
    revocations: revocations.map(revocationMessage),
  });
}

export function encodeRevocation(revocation: Revocation): Uint8Array {
  return toBinary(RevocationSchema, revocationMessage(revocation));
}

/** A gateway's sessions by these tokens are to end. */
export function encodeRevokeCall(revocations: readonly Revocation[]): Uint8Array {
  const value = { revocations: revocations.map(revocationMessage) };
  return encode(NodeCallSchema, { call: { case: "revoke", value } });
}

/** Which of these sessions does a gateway have? */
export function encodePresentCall(sessionIds: readonly string[]): Uint8Array {
  const value = { sessionIds: [...sessionIds] };
  return encode(NodeCallSchema, { call: { case: "present", value } });
}

export function revocationOf({ userId, tokenId, time, until }: RevocationMessage): Revocation {
  return { userId, tokenId, time: Number(time), until: Number(until) };
}

function revocationMessage({ userId, tokenId, time, until }: Revocation): RevocationMessage {
  return create(RevocationSchema, { userId, tokenId, time: BigInt(time), until: BigInt(until) });
}

/** Asks a user's object for the user's sessions, on all gateways. */
export async function sessionsOf(stub: UserStub): Promise<UserSession[]> {
  const { sessions } = readAnswer(UserSessionsResponseSchema, await stub.sessions());
  return sessions.map(({ sessionId, since }) => ({ sessionId, since: Number(since) }));
}

/** Resolves when the counters have the row. */
export async function reportTo(stub: StatsStub, row: ReportRow): Promise<void> {
  const { channel, members, until } = row;
  await stub.report(encode(ReportRequestSchema, { channel, members, until: BigInt(until ?? 0) }));
}

/** Asks the counters of a region for a page of its channels, by name. */
export async function listOf(stub: StatsStub, query: ChannelQuery): Promise<ChannelPage> {
  const answer = await stub.list(encode(ListRequestSchema, query));
  const { channels, next, asOf } = readAnswer(ListResponseSchema, answer);
  return {
    channels: channels.map(({ channel, members }) => ({ channel, members })),
    next: next === "" ? undefined : next,
    asOf: Number(asOf),
  };
}

/** Resolves when the counters have what the gateway holds, has counted and has met. */
export async function countAt(
  stub: StatsStub,
  row: Omit<GatewayCounts, "before">,
  incidents: readonly Incident[] = [],
): Promise<void> {
  const { gateway, life, time, gauges, counters } = row;
  await stub.count(
    encode(GatewayFiguresSchema, {
      gateway,
      life,
      time: BigInt(time),
      gauges: { ...gauges },
      counters: { ...counters },
      incidents: incidents.map(incidentMessage),
    }),
  );
}

/** What the gateways of a region hold and have counted, asleep or awake. */
export type RegionFigures = NonNullable<RegionReport["report"]>;

/** What is asked for of gateways one by one. */
export interface LoadsAsked {
  /** Gateways at most, those first that have most of the first figure. */
  readonly gateways: number;
  readonly figures: readonly string[];
}

/**
 * Asks the counters of a region for the sums over its gateways, none of which is woken for that.
 *
 * @param loads gateways one by one. Default none
 */
export async function figuresOf(
  stub: StatsStub,
  loads: LoadsAsked = { gateways: 0, figures: [] },
): Promise<RegionFigures> {
  const request = encode(FiguresRequestSchema, { ...loads, figures: [...loads.figures] });
  const answer = readAnswer(RegionFiguresSchema, await stub.figures(request));
  const { asOf, figures, gateways } = answer;
  return {
    gateways,
    figures,
    asOf: Number(asOf),
    loads: answer.loads.map(({ gateway, time, figures: its, incidents }) => ({
      gateway,
      time: Number(time),
      figures: its,
      incidents: incidents.map(incidentOf),
    })),
  };
}

export function incidentMessage({ at, began, ...rest }: Incident): IncidentRecord {
  return create(IncidentRecordSchema, { ...rest, at: BigInt(at), began: BigInt(began) });
}

export function incidentOf({
  at,
  began,
  channel,
  count,
  kind,
  reason,
  sessionId,
}: IncidentRecord): Incident {
  const its = kind as IncidentKind;
  return { kind: its, channel, reason, began: Number(began), at: Number(at), count, sessionId };
}
