/** What a page without WebSocket does: it subscribes, publishes and hears itself by Open and Send. Runs in browsers. */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { MessagingService } from "../../src/protocol/gen/messageloop/v1/service_pb.js";

export interface Talk {
  readonly baseUrl: string;
  readonly protocol: "Connect" | "gRPC-Web";
  readonly useBinaryFormat: boolean;
  readonly channel: string;
}

/** Resolves with the texts that it hears. */
export async function talk({
  baseUrl,
  channel,
  protocol,
  useBinaryFormat,
}: Talk): Promise<string[]> {
  if (typeof WebSocket !== "undefined") throw new Error("this page has WebSocket");
  const make = protocol === "Connect" ? createConnectTransport : createGrpcWebTransport;
  const client = createClient(MessagingService, make({ baseUrl, useBinaryFormat }));
  const abort = new AbortController();
  const { signal } = abort;
  const subscriptions = [{ channel }];
  const stream = client.open({ capabilities: ["test"], subscriptions }, { signal });
  let session = { sessionId: "", secret: "" };
  const send = async (seq: number, text: string): Promise<void> => {
    const data = { case: "textData", value: text } as const;
    const value = { id: text, source: "/page", type: "t", data };
    const messages = [{ id: text, channel, envelope: { case: "publish", value } as const }];
    const { sessionId, secret } = session;
    const headers = { "Messageloop-Stream-Secret": secret };
    await client.send({ sessionId, seq: BigInt(seq), messages }, { headers });
  };
  const heard: string[] = [];
  for await (const { envelope } of stream) {
    if (envelope.case === "opened") session = envelope.value;
    // The second before the first: the server puts them in order.
    else if (envelope.case === "connected")
      send(2, "two")
        .then(() => send(1, "one"))
        .catch((error) => abort.abort(error));
    else if (envelope.case === "publication") {
      for (const { payload } of envelope.value.messages) heard.push(`${payload?.data.value}`);
    }
    if (heard.length === 2) break;
  }
  // Leaving the loop cancels nothing.
  abort.abort();
  return heard;
}
