/** Who is in a channel, as components see it. */
import { expect, test } from "vitest";
import { ChannelMembers } from "../../../src/client/react/channel-members.ts";
import { ChannelReader, PresenceReader } from "../../../src/client/react/channel-reader.ts";
import { ProvidedClient } from "../../../src/client/react/provided-client.ts";
import { FakeServer, ManualClock } from "../../../src/client/testing/index.ts";
import { type Client, createClient, type Presence } from "../../../src/index.ts";

const nothing = (): void => {};

function world() {
  const clock = new ManualClock();
  const server = new FakeServer({ clock });
  const options = { clock, transport: server.transport, onError: nothing };
  const provided = new ProvidedClient({
    client: undefined,
    url: "ws://fake",
    options: { ...options, clientId: "me" },
  });
  const other = (clientId: string): Client => createClient("ws://fake", { ...options, clientId });
  const names = (one: PresenceReader) => one.status().members.map(({ clientId }) => clientId);
  return { clock, server, provided, other, names };
}

test("members are asked for, and kept by joins and leaves", async () => {
  const { clock, provided, other, names } = world();
  const here = new PresenceReader(provided, "room", false);
  let told = 0;
  here.subscribe(() => {
    told += 1;
  });
  expect(here.status()).toEqual({ members: [], total: undefined, error: undefined });
  await clock.advance(0);
  expect(names(here)).toEqual(["me"]);
  const before = told;
  const ada = other("ada");
  const subscription = ada.subscribe("room");
  await clock.advance(0);
  expect(names(here)).toEqual(["me", "ada"]);
  expect(here.status().total).toBe(2);
  expect(told).toBeGreaterThan(before);
  expect(here.status()).toBe(here.status());
  await Promise.all([subscription.unsubscribe(), clock.advance(0)]);
  expect(names(here)).toEqual(["me"]);
  expect(here.status().total).toBe(1);
});

test("a new list replaces all, and other channels are no concern", async () => {
  const { clock, server, provided, names } = world();
  const here = new PresenceReader(provided, "room", false);
  here.subscribe(nothing);
  await clock.advance(0);
  const [session] = server.sessions;
  const members = [{ client_id: "ben" }, { client_id: "cid" }];
  session?.tell({ presence: { channel: "room", members } });
  session?.tell({ presence_event: { channel: "elsewhere", join: { client_id: "eve" } } });
  await clock.advance(0);
  expect(names(here)).toEqual(["ben", "cid"]);
  // After a loss it is asked anew; until then the former members are shown.
  server.cut();
  await clock.advance(0);
  expect(names(here)).toEqual(["ben", "cid"]);
  await clock.advance(30_000);
  expect(names(here)).toEqual(["me"]);
});

test("what changes between question and answer counts, whichever is newer", async () => {
  const { clock, server, other } = world();
  const client = other("me");
  const subscription = client.subscribe("room");
  await clock.advance(0);
  let answer = (_present: Presence): void => {};
  const answered = new Promise<Presence>((resolve) => {
    answer = resolve;
  });
  const asked = { presence: () => answered } as unknown as Client;
  const members = new ChannelMembers("room", asked, nothing);
  members.follow(subscription);
  const member = (clientId: string) => ({ userId: "", clientId, sessionId: "", time: 0 });
  const [session] = server.sessions;
  session?.tell({ presence_event: { channel: "room", join: { client_id: "ada" } } });
  session?.tell({ presence_event: { channel: "room", leave: { client_id: "ben" } } });
  session?.tell({ presence_event: { channel: "room", join: { client_id: "cid" } } });
  await clock.advance(0);
  expect(members.status).toEqual({ members: [], total: undefined, error: undefined });
  // The answer is older than all of them but the last. Of a thousand more it names none.
  answer({ members: [member("me"), member("ben"), member("cid")], total: 1_003 });
  await clock.advance(0);
  const names = () => members.status.members.map(({ clientId }) => clientId);
  expect([names(), members.status.total]).toEqual([["me", "cid", "ada"], 1_003]);
  session?.tell({ presence_event: { channel: "room", leave: { client_id: "unlisted" } } });
  await clock.advance(0);
  expect([names(), members.status.total]).toEqual([["me", "cid", "ada"], 1_002]);
});

test("it goes by the subscription of the channel, whichever comes first", async () => {
  const { clock, server, provided, names } = world();
  const here = new PresenceReader(provided, "room", true);
  here.subscribe(nothing);
  await clock.advance(0);
  for (const id of ["1", "2"]) {
    server.publish("room", { id, source: "/test", type: "t", text_data: id });
  }
  const chat = new ChannelReader(provided, { channel: "room", keep: 10, terms: { rewind: 5 } });
  const leave = chat.subscribe(nothing);
  await clock.advance(0);
  expect(chat.status().messages.map(({ data }) => data)).toEqual(["1", "2"]);
  expect(names(here)).toEqual(["me"]);
  expect(server.sessions[0]?.channels).toEqual(["room"]);
  leave();
  await new Promise((resolve) => setTimeout(resolve, 1));
  await clock.advance(0);
  expect(names(here)).toEqual(["me"]);
});

test("a refusal is shown, and there are no members", async () => {
  const { clock, provided } = world();
  const here = new PresenceReader(provided, "not..valid", false);
  here.subscribe(nothing);
  await clock.advance(0);
  expect(here.status()).toMatchObject({
    members: [],
    total: undefined,
    error: { code: "BAD_REQUEST" },
  });
});
