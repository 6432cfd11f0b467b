/** A whole session as a v0.1.1 client leads it, and that it sees nothing newer. */
import assert from "node:assert/strict";
import { kindOf, textOf, valueAs } from "../../support/client.ts";
import { type Case, EXTENDED, V1 } from "../case.ts";

export const compatibilityCases: readonly Case[] = [
  {
    rules: ["K1", "K2", "V5", "R1"],
    title: "a whole session holds nothing that v0.1.1 does not know",
    kinds: V1,
    server: "backend",
    async run(context) {
      const channel = context.channel();
      const client = await context.client({ clientId: "v1", clientType: "sdk", version: "1.0.0" });
      const extended = await context.client({ clientId: "new" }, { extended: true });
      assert.equal(kindOf(await client.subscribe(channel)), "subscribeAck");
      await client.publish(channel, "mine");
      await extended.publish(channel, "theirs");
      await client.received(2);
      assert.equal(textOf(valueAs(await client.rpc("echo", "hello"), "rpcReply")), "hello");
      assert.equal(kindOf(await client.rpc("refuse")), "error NO_STOCK");
      assert.equal(kindOf(await client.rpc("empty")), "rpcReply");
      const payload = { data: { case: "textData", value: "?" } } as const;
      const survey = await client.request({
        channel,
        envelope: { case: "surveyRequest", value: { requestId: "s1", payload } },
      });
      assert.equal(valueAs(survey, "surveyResponse").requestId, "s1");
      client.sendRaw(context.kind.encoding === "json" ? "[]" : new Uint8Array([255, 255]));
      await client.next("error");
      const asked = extended.rpc("survey", JSON.stringify({ channel, text: "?" }));
      const { requestId } = await client.next("surveyRequest");
      client.send({ envelope: { case: "surveyResponse", value: { requestId, payload } } });
      await asked;
      await client.unsubscribe(channel);
      const goodbye = { code: 3503, reason: "\u00e4".repeat(100) };
      client.send({
        channel: "x",
        method: "disconnect",
        envelope: {
          case: "rpcRequest",
          value: { data: { case: "textData", value: JSON.stringify(goodbye) } },
        },
      });
      assert.equal((await client.closed()).code, 3503);
    },
  },
  {
    rules: ["K1", "K3"],
    title: "a client that announces only what nobody knows is extended and is granted nothing",
    kinds: EXTENDED,
    async run(context) {
      const client = await context.open();
      const connected = valueAs(
        await client.connect({ capabilities: ["time-travel"] }),
        "connected",
      );
      assert.deepEqual(connected.capabilities, []);
      assert.equal(connected.creditBytes, 0n);
      assert.ok(connected.maxMessageBytes > 0);
      const value = { bytes: 1n };
      const reply = await client.request({ envelope: { case: "received", value } });
      assert.equal(kindOf(reply), "error BAD_REQUEST");
    },
  },
  {
    rules: ["K3"],
    title: "what is granted is what both sides have",
    kinds: EXTENDED,
    async run(context) {
      const client = await context.open();
      const known = ["control", "credit", "history", "presence", "recovery", "survey"];
      const asked = [
        "survey",
        "presence",
        "time-travel",
        "recovery",
        "history",
        "credit",
        "control",
      ];
      const connected = valueAs(await client.connect({ capabilities: asked }), "connected");
      assert.deepEqual([...connected.capabilities].sort(), known);
      const one = await context.open();
      const { capabilities } = valueAs(
        await one.connect({ capabilities: ["history"] }),
        "connected",
      );
      assert.deepEqual(capabilities, ["history"]);
    },
  },
  {
    rules: ["F4"],
    title: "both spellings are read and snake_case is written",
    kinds: V1.filter(({ encoding }) => encoding === "json"),
    async run(context) {
      const channel = context.channel();
      const client = await context.subscriber(channel);
      const snake = { spec_version: "1.0", text_data: "x" };
      const camel = { specVersion: "1.0", textData: "x" };
      for (const names of [snake, camel]) {
        const event = {
          id: "e",
          source: "/s",
          type: "t",
          attributes: {
            a: "spec_version" in names ? { ce_string: "x" } : { ceString: "x" },
          },
          ...names,
        };
        client.sendRaw(JSON.stringify({ id: "p", time: 5, channel, publish: event }));
      }
      await client.received(2);
      const delivered = client.frames.filter((frame) => `${frame}`.includes("publication"));
      for (const frame of delivered) {
        assert.match(`${frame}`, /"spec_version":"1.0"/);
        assert.match(`${frame}`, /"ce_string":"x"/);
        assert.match(`${frame}`, /"binary_data":"eA=="/);
        assert.match(`${frame}`, /"offset":"\d+"/);
      }
      assert.ok(delivered.length > 0);
    },
  },
];
