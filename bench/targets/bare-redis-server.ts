/**
 * The yardstick on Redis: what is published is numbered, put into a stream and published there by one short
 * script, and what comes back goes to everybody who has joined, one write a turn. The commands of a turn leave
 * together. Nothing is recognised or recovered. Prints its port.
 */
import { createClient, defineScript } from "redis";
import { byTurn, fail, listen, subscribersOf } from "./bare-channels.ts";

const [redisPort, port = "0"] = process.argv.slice(2);
if (redisPort === undefined) throw new Error("usage: bare-redis-server.ts REDIS_PORT [PORT]");

/** Entries that a stream holds, as history does by default. */
const HISTORY = 256;

const append = defineScript({
  SCRIPT: `
local offset = redis.call('HINCRBY', KEYS[1], 'head', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '0-' .. offset, 'b', ARGV[2])
redis.call('PUBLISH', KEYS[3], ARGV[2])
return offset
`,
  NUMBER_OF_KEYS: 3,
  parseCommand(parser, channel: string, data: Buffer) {
    parser.pushKeys([`{${channel}}:meta`, `{${channel}}:log`, topicOf(channel)]);
    parser.push(`${HISTORY}`, data);
  },
  transformReply: (offset: number) => offset,
});

function topicOf(channel: string): string {
  return `{${channel}}:topic`;
}

const url = `redis://127.0.0.1:${redisPort}`;
const commands = await createClient({ url, scripts: { append } }).on("error", fail).connect();
const topics = await createClient({ url }).on("error", fail).connect();

/** Channels that are heard, or will be soon. */
const heard = new Map<string, Promise<void>>();

function publish(channel: string, data: Buffer): void {
  commands.append(channel, data).catch(fail);
}

function joined(channel: string): Promise<void> {
  let hears = heard.get(channel);
  if (hears === undefined) {
    const deliver = (data: Buffer): void => byTurn(subscribersOf(channel), data);
    hears = topics.subscribe(topicOf(channel), deliver, true);
    heard.set(channel, hears);
  }
  return hears;
}

listen({ publish, joined }, Number(port));
