/**
 * Sends the cases by the CloudEvents SDK for JavaScript: `node send.mjs CASES URL KEY MODE [encode]`. With `encode`
 * it does what the SDK leaves to its user, as docs/cloudevents.md has it. Prints a line of JSON for each request.
 */
import { readFileSync } from "node:fs";
import { CloudEvent, HTTP } from "cloudevents";

const [cases, url, key, mode, more] = process.argv.slice(2);

function eventOf({ attributes, extensions = {}, data = {} }) {
  const bytes = data.base64 === undefined ? undefined : Buffer.from(data.base64, "base64");
  return new CloudEvent({ ...attributes, ...extensions, data: data.json ?? data.text ?? bytes });
}

/** The percent-encoding of the HTTP binding, and the time as the event has it. */
function encode(event, message) {
  for (const [name, value] of Object.entries(message.headers)) {
    if (!name.startsWith("ce-")) continue;
    const text = name === "ce-time" ? event.time : String(value);
    message.headers[name] = text.replace(/[^\x21\x23\x24\x26-\x7e]+/g, encodeURIComponent);
  }
  return message;
}

function messageOf(one) {
  const event = eventOf(one);
  if (mode !== "binary") {
    const message = HTTP.structured(event);
    if (more !== "encode" || one.attributes.time === undefined) return message;
    return { ...message, body: JSON.stringify({ ...JSON.parse(message.body), time: event.time }) };
  }
  const message = HTTP.binary(event);
  return more === "encode" ? encode(event, message) : message;
}

async function send(name, { headers, body }) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, authorization: `Bearer ${key}` },
      body,
    });
    console.log(JSON.stringify({ name, status: response.status, body: await response.text() }));
  } catch (error) {
    console.log(JSON.stringify({ name, error: String(error) }));
  }
}

const all = JSON.parse(readFileSync(cases, "utf8"));
if (mode === "batch") {
  await send("batch", {
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: `[${all.map((one) => messageOf(one).body).join(",")}]`,
  });
} else {
  for (const one of all) await send(one.name, messageOf(one));
}
