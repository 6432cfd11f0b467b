/** One message of a list: a line, and all of it where it is opened. */
import { useState } from "preact/hooks";
import { attributesOf, dataOf, type ShownMessage, surroundingsOf } from "../shown-message.ts";
import { Lines } from "./lines.tsx";
import { Payload } from "./payload.tsx";
import { Name, Time } from "./text.tsx";

/** Characters of the data on the line. */
const PREVIEW = 160;

export function MessageItem({
  message,
  channel = false,
}: {
  readonly message: ShownMessage;
  /** Whether the line says which channel it is of. */
  readonly channel?: boolean;
}) {
  const [open, setOpen] = useState(false);
  const { offset = 0, time = 0, payload = {} } = message;
  return (
    <li class="message">
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <Time at={time} />
          {channel ? (
            <span class="of">
              <Name of={message.channel ?? ""} most={80} />
            </span>
          ) : null}
          <span class="offset">{offset === 0 ? "–" : `#${offset}`}</span>
          <span class="type">
            <Name of={payload.type ?? ""} most={80} />
          </span>
          <span class="preview">
            <Name of={previewOf(message)} most={PREVIEW} />
          </span>
        </summary>
        {open ? (
          <div class="whole">
            <Payload data={dataOf(message)} />
            <Lines title="Attributes" lines={attributesOf(message)} />
            <Lines title="From the server" lines={surroundingsOf(message)} />
          </div>
        ) : null}
      </details>
    </li>
  );
}

function previewOf({ payload = {} }: ShownMessage): string {
  const { text_data: text, binary_data: bytes } = payload;
  if (text !== undefined) return text.slice(0, PREVIEW).replace(/\s+/g, " ");
  if (bytes === undefined) return "";
  return new TextDecoder().decode(bytes.subarray(0, PREVIEW)).replace(/\s+/g, " ");
}
