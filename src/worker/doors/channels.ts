/** What the Worker answers below `/channels/`. */
import { isRevoked } from "../../engine/ports/revocations.ts";
import type { ChannelDoors } from "../../http/channel-doors.ts";
import { EventsDoor } from "../../http/events/door.ts";
import { HistoryDoor } from "../../http/history/door.ts";
import { clock, consoleLoggerAt, timers } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";
import { accessOf } from "./access.ts";
import { type Caller, peerOf } from "./caller.ts";
import { cloudEventsDoor } from "./cloudevents.ts";
import { openEvents } from "./events.ts";
import { requestEngine } from "./request-engine.ts";
import { tailOf } from "./tail.ts";

/** @param caller of the request that is to be answered */
export function channelDoors(settings: WorkerSettings, caller: Caller): ChannelDoors {
  return {
    publish: cloudEventsDoor(settings, caller),
    events: async (request, path) => {
      const door = eventsDoorOf(settings);
      return await door.answer(request, path, peerOf(request), (events) =>
        openEvents(events, settings, caller),
      );
    },
    history: async (request, path) => {
      const door = historyDoorOf(settings);
      const broker = () => requestEngine(caller.ctx, settings, caller.region).broker;
      return await door.answer(request, path, peerOf(request), {
        history: (channel, filter) => broker().history(channel, filter),
        open: tailOf(settings, caller),
        revoked: (ticket) => isRevoked(broker().revocations, ticket),
      });
    },
  };
}

function eventsDoorOf(settings: WorkerSettings): EventsDoor {
  return new EventsDoor({
    ...accessOf(settings),
    rules: settings,
    subscribes: !settings.disabledMessages.includes("subscribe"),
    logger: consoleLoggerAt(settings.logLevel),
    random: Math.random,
  });
}

function historyDoorOf(settings: WorkerSettings): HistoryDoor {
  return new HistoryDoor({
    ...accessOf(settings),
    rules: settings,
    channels: settings.rules,
    disabled: settings.disabledMessages,
    clock,
    timers,
    logger: consoleLoggerAt(settings.logLevel),
  });
}
