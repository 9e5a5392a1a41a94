// What is in view: from when to when, and where that is on the canvas.

const $ = id => document.getElementById(id);
const canvas = $('canvas'), overview = $('overview'), tip = $('tip');
const ctx = canvas.getContext('2d'), over = overview.getContext('2d');
const font = '"DejaVu Sans", system-ui, -apple-system, "Segoe UI", sans-serif';
let colour = {}; // the style sheet's, read again when the scheme changes
let view = {from: begin, to: end};
let selected = null, hovered = null;
let size = {width: 0, height: 0}, lane = 80, gutter = 84;
const axis = 26, band = 22, overviewHeight = 16 + nodes.length * 6;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['back', 'panel', 'lane', 'line', 'grid', 'text', 'quiet', 'broken', 'brokentext', 'primary', 'primarytext', 'backup',
    'backuptext', 'idle', 'idletext', 'active', 'activetext', 'inactive', 'inactivetext', 'down', 'frozen', 'cut', 'done', 'donetext', 'failed',
    'unknown', 'unknowntext', 'focus', 'halo', 'kind0', 'kind1', 'kind2', 'kind3', 'kind4', 'kind5']) {
    colour[name] = style.getPropertyValue('--' + name).trim();
  }
}

const scale = () => (size.width - gutter - 10) / (view.to - view.from);
const x = t => gutter + (t - view.from) * scale();
const time = px => view.from + (px - gutter) / scale();
const above = node => axis + 10 + node * lane + (lane - band) / 2;
const middle = node => above(node) + band / 2;

// lowerBound returns the first place whose time is not before t.
function lowerBound(list, t) {
  let lo = 0, hi = list.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (list[mid].at < t) lo = mid + 1; else hi = mid;
  }
  return lo;
}

function inView(list, back) {
  const out = [];
  for (let i = lowerBound(list, view.from - back); i < list.length && list[i].at <= view.to; i++) out.push(list[i]);
  return out;
}

const shown = m => m.type !== 'message' || kinds[m.kind].on || m.breaking;
const visibleMessages = () => inView(messages, longest).filter(m => shown(m) && m.there >= view.from);

// arrow returns where a message's line runs. What was lost ends on the way.
function arrow(m) {
  const down = m.to > m.from ? 1 : -1;
  let x1 = x(m.at), x2 = x(m.there);
  let y1 = middle(m.from) + down * band / 2, y2 = middle(m.to) - down * band / 2;
  if (m.from === m.to) { y1 = y2 = middle(m.from) - band / 2 - 6; }
  if (m.fate === LOST) { y2 = y1 + (y2 - y1) * 0.45; x2 = Math.min(x1 + (x2 - x1) * 0.45, x1 + 60); }
  if (m.fate === UNDER_WAY) { y2 = y1 + (y2 - y1) * 0.3; x2 = Math.min(x2, x1 + 24); }
  return [x1, y1, x2, y2];
}

let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}

function show(from, to) {
  let width = Math.min(Math.max(to - from, closest), end - begin);
  from = (from + to - width) / 2;
  from = Math.max(begin, Math.min(from, end - width));
  view = {from, to: from + width};
  redraw();
}

const zoom = (factor, at) => show(at - (at - view.from) * factor, at + (view.to - at) * factor);
const pan = share => { const by = (view.to - view.from) * share; show(view.from + by, view.to + by); };
const centre = () => selected && selected.at >= view.from && selected.at <= view.to ? selected.at : (view.from + view.to) / 2;

// interesting returns the time to open at: what led to the failure, as long as
// the arrows can be told apart; else everything, or its end if that is too much.
function interesting() {
  const until = broken ? broken.at : last;
  const list = messages.filter(m => shown(m) && m.at <= until);
  if (!broken && list.length <= 400) return [begin, end];
  const room = Math.max(12, (size.width - gutter) / 14);
  const start = list[Math.max(0, Math.floor(list.length - room))];
  const from = Math.min(start ? start.at : begin, until - 2);
  const after = (until - from) * 0.12;
  return [from, Math.min(end, until + after)];
}

function resize() {
  const width = $('picture').clientWidth;
  ctx.font = '650 13px ' + font;
  gutter = 24 + Math.min(100, nodes.reduce((max, n) => Math.max(max, ctx.measureText(n.name).width, ctx.measureText(n.group).width * 0.8), 56));
  const narrow = getComputedStyle(document.querySelector('main')).flexDirection === 'column';
  const space = narrow ? innerHeight * 0.7 : $('picture').clientHeight - overviewHeight - 1;
  lane = Math.min(120, Math.max(64, (space - axis - 20) / nodes.length));
  size = {width, height: Math.max(Math.floor(axis + 20 + lane * nodes.length), 120)};
  if (!narrow) size.height = Math.max(size.height, Math.floor(space));
  for (const [c, height] of [[canvas, size.height], [overview, overviewHeight]]) {
    const w = Math.round(width * devicePixelRatio), h = Math.round(height * devicePixelRatio);
    c.style.height = height + 'px';
    if (c.width !== w || c.height !== h) { c.width = w; c.height = h; } // which clears it
  }
  draw(); // now: a cleared canvas must not be seen
}
