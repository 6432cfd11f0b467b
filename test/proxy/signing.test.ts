/** Signed requests: what is signed is all of a request, and the recipe of the documentation tells good from bad. */
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { httpCall, joined } from "../../src/proxy/http/backend.ts";
import type { BackendRequest } from "../../src/proxy/http/call.ts";
import { connectForm } from "../../src/proxy/http/connect.ts";
import { jsonForm } from "../../src/proxy/http/json.ts";
import { createBackends } from "../../src/proxy/service.ts";
import { createSigner, type SignedRequest, signedContent } from "../../src/proxy/signing/signer.ts";
import { documentedVerify } from "../support/verify-recipe.ts";
import { jsonAnswer, NEVER, scriptedPost } from "./http/scripted-post.ts";

const OLD = "an old secret of thirty-two bytes";
const NEW = "a new secret of thirty-two bytes!";
const NOW = 1_767_225_600_000;
const clock = { now: () => NOW + 999 };
const secretsOf = (...texts: string[]) => texts.map((text) => new Uint8Array(Buffer.from(text)));

const request: SignedRequest = {
  method: "POST",
  path: "/hooks?a=1",
  hook: "rpc",
  timestamp: "1767225600",
  contentType: "application/json",
  body: Buffer.from('{"id":"1"}'),
};

test("what is signed is every field with its length", () => {
  expect(Buffer.from(signedContent(request)).toString()).toBe(
    '22:messageloop-request-v1,4:POST,10:/hooks?a=1,3:rpc,10:1767225600,16:application/json,10:{"id":"1"},',
  );
  const wide = signedContent({ ...request, path: "/\u00e4", body: new Uint8Array([0, 255]) });
  expect(Buffer.from(wide).toString("latin1")).toContain(",3:/\u00c3\u00a4,");
  expect(Buffer.from(wide).toString("latin1").endsWith(",2:\u0000\u00ff,")).toBe(true);
});

test("a change of any field, and a shift of bytes between two of them, is another content", () => {
  const names = ["method", "path", "hook", "timestamp", "contentType", "body"] as const;
  const texts = (one: SignedRequest) => ({ ...one, body: Buffer.from(one.body).toString() });
  const content = (one: Record<(typeof names)[number], string>) =>
    Buffer.from(signedContent({ ...one, body: Buffer.from(one.body) })).toString("hex");
  const plain = texts(request);
  const contents = new Set([content(plain)]);
  let variants = 1;
  const add = (one: typeof plain) => {
    contents.add(content(one));
    variants += 1;
  };
  for (const [at, name] of names.entries()) {
    add({ ...plain, [name]: `${plain[name]}x` });
    add({ ...plain, [name]: "" });
    for (const other of names.slice(at + 1)) {
      // The end of one field becomes the beginning of another.
      const cut = plain[name].length - 1;
      add({
        ...plain,
        [name]: plain[name].slice(0, cut),
        [other]: plain[name].slice(cut) + plain[other],
      });
    }
  }
  // What looks like the end of a field and the beginning of the next.
  add({ ...plain, path: "/,3:rpc,10:1767225600", hook: "" });
  add({ ...plain, path: "/", hook: "rpc,10:1767225600" });
  expect(contents.size).toBe(variants);
});

test("two secrets sign, each by itself", async () => {
  const signer = createSigner({ secrets: secretsOf(OLD, NEW), hmac: webHmac, clock });
  const mac = (secret: string) =>
    createHmac("sha256", secret).update(signedContent(request)).digest("base64");
  expect(await signer(request)).toEqual({
    "messageloop-timestamp": "1767225600",
    "messageloop-signature": `v1,${mac(OLD)} v1,${mac(NEW)}`,
  });
});

test("no secret, three, and a short one are refused", () => {
  const make = (...texts: string[]) =>
    createSigner({ secrets: secretsOf(...texts), hmac: webHmac, clock });
  expect(() => make()).toThrow(RangeError);
  expect(() => make(OLD, NEW, OLD)).toThrow(RangeError);
  expect(() => make(OLD, "x".repeat(31))).toThrow(RangeError);
});

test("the path of a procedure stands before the query of the address", () => {
  expect(joined("/hooks?a=1", "")).toBe("/hooks?a=1");
  expect(joined("/", "/s/M")).toBe("/s/M");
  expect(joined("/base/", "/s/M")).toBe("/base/s/M");
  expect(joined("/base?a=1?b", "/s/M")).toBe("/base/s/M?a=1?b");
});

async function signedCall(connect: boolean): Promise<{ sent: BackendRequest; path: string }> {
  const { post, requests } = scriptedPost(() => jsonAnswer({}));
  const call = httpCall({
    post,
    form: connect ? connectForm("json") : jsonForm,
    path: "/hooks?a=1",
    timeoutMs: 1_000,
    signer: createSigner({ secrets: secretsOf(OLD, NEW), hmac: webHmac, clock }),
  });
  const caller = { sessionId: "s", clientId: "c", clientType: "", userId: "ada" };
  await createBackends(call).authorizeSubscribe({ channel: "a", token: "", caller }, NEVER);
  const [sent] = requests;
  if (sent === undefined) throw new Error("nothing was sent");
  const path = connect ? "/hooks/messageloop.proxy.v1.ProxyService/SubscribeAcl?a=1" : "/hooks?a=1";
  return { sent, path };
}

test("the recipe of the documentation takes what was signed, by either secret, and nothing else", async () => {
  const verify = await documentedVerify();
  for (const connect of [false, true]) {
    const { sent, path } = await signedCall(connect);
    const good = {
      method: "POST",
      path,
      headers: { ...sent.headers, "content-type": sent.contentType } as Record<string, string>,
      body: sent.body,
    };
    for (const secrets of [[OLD], [NEW], [NEW, "another secret of thirty-two bytes"]]) {
      expect(verify(good, secrets, NOW)).toBe(true);
    }
    const withHeader = (name: string, value: string) => ({
      ...good,
      headers: { ...good.headers, [name]: value },
    });
    const bad = [
      { ...good, method: "PUT" },
      { ...good, path: "/" },
      { ...good, body: Buffer.concat([sent.body, Buffer.from(" ")]) },
      withHeader("messageloop-hook", "authenticate"),
      withHeader("messageloop-timestamp", "1767225601"),
      withHeader("content-type", "application/proto"),
      withHeader("messageloop-signature", ""),
      withHeader("messageloop-signature", "v1,AAAA"),
      withHeader("messageloop-signature", "v2,AAAA"),
    ];
    for (const one of bad) expect(verify(one, [OLD, NEW], NOW)).toBe(false);
    expect(verify(good, ["a third secret of thirty-two bytes"], NOW)).toBe(false);
    expect(verify(good, [OLD], NOW + 299_000)).toBe(true);
    for (const now of [NOW + 302_000, NOW - 302_000]) expect(verify(good, [OLD], now)).toBe(false);
    const { "messageloop-timestamp": _, ...without } = good.headers;
    expect(verify({ ...good, headers: without }, [OLD], NOW)).toBe(false);
  }
});
