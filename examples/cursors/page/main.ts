/** Where everybody points: places by messages, and who is there by presence. */
import { createClient, type Member } from "messageloop";
import { showStatus } from "../../status.ts";
import { Cursors } from "./cursors.ts";

/** A place on the board, from 0 to 1 in both directions. */
interface Place {
  readonly x: number;
  readonly y: number;
}

type Channels = { "cursors.*": Place };

const BOARD = "cursors.board";
/** Milliseconds between two places that a page sends at least; the others draw the way between them. */
const PAUSE_MS = 80;
/** How far an arrow key moves. */
const STEP = 0.02;

const people = document.getElementById("people") as HTMLElement;
const board = document.getElementById("board") as HTMLElement;

const me = `guest-${Math.floor(Math.random() * 9_000 + 1_000)}`;
const cursors = new Cursors(board, me);
const client = createClient<Channels>("/ws", { clientId: me });
const members = new Map<string, Member>();

showStatus(client);

const subscription = client.subscribe(BOARD, ({ publisher, data }) => {
  if (publisher.clientId !== me) cursors.move(publisher.clientId, data);
});

subscription.addEventListener("presence", ({ detail }) => {
  if (detail.kind === "members") know(detail.members);
  else if (detail.kind === "join") members.set(detail.member.clientId, detail.member);
  else members.delete(detail.member.clientId);
  showPeople();
});

subscription.addEventListener("statechange", ({ detail: { state } }) => {
  if (state !== "subscribed") return;
  // Who has come before this page did, or while it was away.
  client.presence(BOARD).then(
    ({ members: present }) => {
      know(present);
      showPeople();
    },
    () => {},
  );
});

function know(present: readonly Member[]): void {
  members.clear();
  for (const member of present) members.set(member.clientId, member);
}

function showPeople(): void {
  cursors.keep(members);
  const others = members.size - (members.has(me) ? 1 : 0);
  const alone = "Nobody else is here.";
  const company = others === 1 ? "One other is here." : `${others} others are here.`;
  people.textContent = `You are ${me}. ${others <= 0 ? alone : company}`;
}

let own: Place = { x: 0.5, y: 0.5 };
let isWaiting = false;

/** Shows the own place at once, and tells the last one of each pause. */
function go({ x, y }: Place): void {
  own = { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
  cursors.move(me, own);
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(() => {
    isWaiting = false;
    // An old place is of no use to anybody: nothing is kept for later.
    if (client.state === "connected") client.publish(BOARD, own).catch(() => {});
  }, PAUSE_MS);
}

board.addEventListener("pointermove", ({ clientX, clientY }) => {
  const { left, top, width, height } = board.getBoundingClientRect();
  go({ x: (clientX - left) / width, y: (clientY - top) / height });
});

const MOVES: Readonly<Record<string, Place>> = {
  ArrowLeft: { x: -STEP, y: 0 },
  ArrowRight: { x: STEP, y: 0 },
  ArrowUp: { x: 0, y: -STEP },
  ArrowDown: { x: 0, y: STEP },
};

board.addEventListener("keydown", (event) => {
  const move = MOVES[event.key];
  if (move === undefined) return;
  event.preventDefault();
  go({ x: own.x + move.x, y: own.y + move.y });
});
