// What is drawn, as it was written by html.go, in the order of time.

// The columns of the data, in the order in which data() in html.go writes them.
const D = JSON.parse(document.getElementById('data').textContent);
const nodes = D.nodes.map(([name, group]) => ({name, group}));
const kinds = D.kinds.map(([name, hidden]) => ({name, on: !hidden, count: 0}));
const spans = D.spans.map(([node, from, to, look, label, detail]) => ({type: 'span', node, from, to, at: from, look, label, detail}));
const messages = D.messages.map(([from, to, sent, there, kind, fate, again, stale, breaking, label, detail]) =>
  ({type: 'message', from, to, at: sent, there, kind, fate, again, stale, breaking, label, detail}));
const marks = D.marks.map(([node, at, sign, label, detail]) => ({type: 'mark', node, at, sign, label, detail}));

const [PRIMARY, PRIMARY_BARE, BACKUP, BACKUP_BARE, IDLE, ACTIVE, INACTIVE, DOWN, FROZEN, CUT, DONE, FAILED, UNKNOWN, RUNNING] = Array(14).keys();
const [ARRIVED, LOST, UNDER_WAY] = Array(3).keys();
const [CRASH, START, NEW_VIEW, RULE, FAULT, NOTE, BROKEN] = Array(7).keys();
const lookNames = ['primary', 'primary without authority', 'backup', 'backup without the state', 'idle', 'active view', 'view not yet active',
  'down', 'frozen', 'cut off', 'done', 'failed definitely', 'outcome unknown', 'still running'];
const signNames = ['crash', 'start', 'view', 'rule', 'fault', 'note', 'broken'];

for (const m of messages) kinds[m.kind].count++;
const byTime = (a, b) => a.at - b.at;
messages.sort(byTime);
spans.sort(byTime);
marks.sort(byTime);
const broken = marks.find(m => m.sign === BROKEN);
// What the list and the keys walk along: all but the states, whose changes are
// told by marks, in the order of time.
const happenings = [...messages, ...marks, ...spans.filter(s => s.look >= DONE)].sort(byTime);
// How far back something still under way at a time may have begun.
const longest = messages.reduce((max, m) => Math.max(max, m.there - m.at), 0);

let first = Infinity, last = -Infinity;
for (const s of spans) { first = Math.min(first, s.from); last = Math.max(last, s.to); }
for (const m of messages) { first = Math.min(first, m.at); last = Math.max(last, m.there); }
for (const m of marks) { first = Math.min(first, m.at); last = Math.max(last, m.at); }
if (first > last) { first = 0; last = 1; }
if (last - first < 1) last = first + 1;
const margin = Math.max(0.5, (last - first) * 0.01);
const begin = first - margin, end = last + margin;
const closest = Math.min(2, end - begin); // the shortest time that fills the window
