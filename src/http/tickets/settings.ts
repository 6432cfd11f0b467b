/** Settings of tickets, the same on every host. */
import * as v from "valibot";
import { secretText, table } from "../../engine/settings/settings.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import { listOfKeys } from "../keys/settings.ts";
import { TICKET_KEY_ID } from "./ticket.ts";
import type { TicketKey } from "./tickets.ts";

/** Shorter ones could be guessed from a single ticket. */
const MIN_SECRET_LENGTH = 32;
const NOT_AN_ID = "must be at most 32 letters, digits and hyphens";
const NOT_A_SECRET = `must be a text of at least ${MIN_SECRET_LENGTH} characters that nobody can guess`;

const entry = v.pipe(
  table({
    id: v.pipe(v.string(NOT_AN_ID), v.regex(TICKET_KEY_ID, NOT_AN_ID), v.description("none")),
    secret: secretText(
      v.pipe(
        v.string(NOT_A_SECRET),
        v.minLength(MIN_SECRET_LENGTH, NOT_A_SECRET),
        v.description("none"),
      ),
    ),
  }),
  v.transform(({ id, secret }): TicketKey => ({ id, secret: utf8Encode(secret) })),
);

/** `api.ticket_keys`. The first signs. */
export const ticketKeyEntries = listOfKeys(entry);
