'use strict';
(() => {
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

const $ = id => document.getElementById(id);
const canvas = $('canvas'), overview = $('overview'), stage = $('stage'), tip = $('tip');
const ctx = canvas.getContext('2d'), over = overview.getContext('2d');
const font = '"DejaVu Sans", system-ui, -apple-system, "Segoe UI", sans-serif';
let colour = {}; // the style sheet's, read again when the scheme changes
let view = {from: begin, to: end};
let selected = null, hovered = null;
let size = {width: 0, height: 0}, lane = 80, gutter = 84;
const axis = 26, band = 22, overviewHeight = 16 + nodes.length * 6;

// Geometry.

const scale = () => (size.width - gutter - 10) / (view.to - view.from);
const x = t => gutter + (t - view.from) * scale();
const time = px => view.from + (px - gutter) / scale();
const top_ = node => axis + 10 + node * lane + (lane - band) / 2;
const middle = node => top_(node) + band / 2;

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

// Drawing.

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['back', 'panel', 'lane', 'line', 'grid', 'text', 'quiet', 'broken', 'brokentext', 'primary', 'primarytext', 'backup',
    'backuptext', 'idle', 'idletext', 'active', 'activetext', 'inactive', 'inactivetext', 'down', 'frozen', 'cut', 'done', 'donetext', 'failed',
    'unknown', 'unknowntext', 'focus', 'halo', 'kind0', 'kind1', 'kind2', 'kind3', 'kind4', 'kind5']) {
    colour[name] = style.getPropertyValue('--' + name).trim();
  }
}

const kindColour = k => colour['kind' + k % 6];
// Kinds differ by their dashes, too.
const kindDash = k => [[], [7, 3], [], [2, 3], [1, 3], [9, 3, 2, 3]][k % 6];

function looks(look) {
  switch (look) {
  case PRIMARY: return {fill: colour.primary, text: colour.primarytext};
  case PRIMARY_BARE: return {fill: colour.back, edge: colour.primary, stripe: colour.primary, text: colour.text, halo: true};
  case BACKUP: return {fill: colour.backup, text: colour.backuptext};
  case BACKUP_BARE: return {fill: colour.back, edge: colour.backup, stripe: colour.backup, text: colour.text, halo: true};
  case IDLE: return {fill: colour.idle, text: colour.idletext};
  case ACTIVE: return {fill: colour.active, text: colour.activetext};
  case INACTIVE: return {fill: colour.inactive, text: colour.inactivetext};
  case DOWN: return {fill: colour.back, edge: colour.quiet, dash: [4, 4], text: colour.quiet};
  case FROZEN: return {strip: colour.frozen};
  case CUT: return {strip: colour.cut};
  case DONE: return {fill: colour.done, edge: colour.line, text: colour.donetext};
  case FAILED: return {fill: colour.failed, edge: colour.quiet, dash: [3, 3], text: colour.idletext};
  case UNKNOWN: return {fill: colour.unknown, edge: colour.cut, text: colour.unknowntext};
  default: return {fill: colour.back, edge: colour.focus, text: colour.text};
  }
}

function drawBand(c, look, x1, x2, y, height) {
  const l = looks(look);
  const width = Math.max(x2 - x1, 1.5);
  if (l.strip) { // over the band: what held besides
    c.fillStyle = l.strip;
    const edge = look === FROZEN ? y - 6 : y + height + 2;
    c.fillRect(x1, edge, width, 4);
    if (look === CUT) { c.fillStyle = colour.back; for (let i = x1 + 5; i < x1 + width - 2; i += 8) c.fillRect(i, edge, 2.5, 4); }
    return;
  }
  c.save();
  c.beginPath();
  if (width > 8) c.roundRect(x1, y, width, height, 4); else c.rect(x1, y, width, height);
  c.fillStyle = l.fill;
  c.fill();
  c.clip();
  if (l.stripe) {
    c.strokeStyle = l.stripe;
    c.lineWidth = 2.5;
    c.beginPath();
    const left = Math.max(x1, 0) - height - (Math.max(x1, 0) % 9), right = Math.min(x2, c.canvas.width);
    for (let i = left; i < right; i += 9) { c.moveTo(i, y + height); c.lineTo(i + height, y); }
    c.stroke();
  }
  if (l.edge) {
    c.strokeStyle = l.edge;
    c.lineWidth = 2;
    c.setLineDash(l.dash || []);
    c.beginPath();
    if (width > 8) c.roundRect(x1, y, width, height, 4); else c.rect(x1, y, width, height);
    c.stroke();
  }
  c.restore();
}

// clipped shortens a text to a width, "" if too little would be left.
function clipped(c, text, width) {
  if (width < 14) return '';
  if (c.measureText(text).width <= width) return text;
  let lo = 0, hi = text.length;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (c.measureText(text.slice(0, mid) + '…').width <= width) lo = mid; else hi = mid - 1;
  }
  return lo < 2 ? '' : text.slice(0, lo) + '…';
}

function drawSpans() {
  const corners = inView(marks, 0).filter(m => m.sign === CRASH || m.sign === START).map(m => ({node: m.node, px: x(m.at)}));
  for (const strips of [false, true]) {
    for (const s of spans) {
      if ((s.look === FROZEN || s.look === CUT) !== strips || s.to < view.from || s.from > view.to) continue;
      const x1 = Math.max(x(s.from), gutter - 8), x2 = Math.min(x(s.to), size.width + 8);
      drawBand(ctx, s.look, x1, x2, top_(s.node), band);
      const l = looks(s.look);
      if (l.strip || !s.label) continue;
      ctx.font = '600 12px ' + font;
      const cornered = corners.some(c => c.node === s.node && Math.abs(c.px - x1) < 9); // a sign covers the corner
      const left = Math.max(x1, gutter) + (cornered ? 13 : 6);
      const text = clipped(ctx, s.label, Math.min(x2, size.width) - left - 6);
      if (!text) continue;
      if (l.halo) { // stripes lie under the text
        ctx.fillStyle = colour.halo;
        ctx.fillRect(left - 3, top_(s.node) + 3, ctx.measureText(text).width + 6, band - 6);
      }
      ctx.fillStyle = l.text;
      ctx.fillText(text, left, middle(s.node) + 0.5);
    }
  }
}

function drawArrow(c, [x1, y1, x2, y2], stroke, dash, width, fate) {
  c.strokeStyle = c.fillStyle = stroke;
  c.lineWidth = width;
  c.setLineDash(dash);
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
  c.setLineDash([]);
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const head = 6 + width;
  c.beginPath();
  if (fate === ARRIVED) {
    c.moveTo(x2, y2);
    c.lineTo(x2 - head * Math.cos(angle - 0.38), y2 - head * Math.sin(angle - 0.38));
    c.lineTo(x2 - head * Math.cos(angle + 0.38), y2 - head * Math.sin(angle + 0.38));
    c.fill();
  } else if (fate === LOST) {
    c.lineWidth = Math.max(width, 1.6);
    c.moveTo(x2 - 4, y2 - 4); c.lineTo(x2 + 4, y2 + 4);
    c.moveTo(x2 - 4, y2 + 4); c.lineTo(x2 + 4, y2 - 4);
    c.stroke();
  } else {
    c.lineWidth = Math.max(width, 1.2);
    c.arc(x2, y2, 2.5, 0, 7);
    c.stroke();
  }
}

// paintMessage draws one, thicker if it matters.
function paintMessage(m, alpha) {
  const bold = m === selected || m === hovered;
  ctx.globalAlpha = bold || m.breaking ? 1 : m.again ? alpha * 0.75 : alpha;
  if (m.again) drawArrowTwice(m, bold); else
    drawArrow(ctx, arrow(m), m.breaking ? colour.broken : kindColour(m.kind), m.breaking ? [] : kindDash(m.kind), m.breaking ? 3 : bold ? 2.6 : 1.3, m.fate);
  if (m.stale && m.fate === ARRIVED) { // an open ring where it arrives
    const [, , x2, y2] = arrow(m);
    ctx.strokeStyle = m.breaking ? colour.broken : kindColour(m.kind);
    ctx.lineWidth = 1.6;
    ctx.beginPath();
    ctx.arc(x2, y2, 5, 0, 7);
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

// paintCrowd draws more messages than anybody can tell apart: lines alone, many
// at a stroke, which takes a fraction of the time.
function paintCrowd(list, alpha) {
  ctx.globalAlpha = alpha;
  ctx.lineWidth = 1;
  ctx.setLineDash([]);
  kinds.forEach((kind, k) => {
    const some = list.filter(m => m.kind === k && rank(m) === 0);
    ctx.strokeStyle = kindColour(k);
    for (let i = 0; i < some.length; i += 40) {
      ctx.beginPath();
      for (const m of some.slice(i, i + 40)) {
        const [x1, y1, x2, y2] = arrow(m);
        ctx.moveTo(x1, y1);
        ctx.lineTo(x2, y2);
      }
      ctx.stroke();
    }
  });
  ctx.globalAlpha = 1;
}

// drawArrowTwice draws a copy as a double line.
function drawArrowTwice(m, bold) {
  const [x1, y1, x2, y2] = arrow(m);
  const stroke = m.breaking ? colour.broken : kindColour(m.kind);
  drawArrow(ctx, [x1, y1, x2, y2], stroke, [], m.breaking ? 5 : bold ? 5 : 3.4, m.fate);
  ctx.strokeStyle = colour.back;
  ctx.lineWidth = bold || m.breaking ? 1.8 : 1.4;
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x1 + (x2 - x1) * 0.96, y1 + (y2 - y1) * 0.96);
  ctx.stroke();
}

// drawLabels writes at the arrows what there is room for, along their lines; the
// selected and the breaking ones come first, then the latest.
function drawLabels(list, free) {
  if (list.length > 1500) return;
  ctx.font = '11px ' + font;
  const order = list.slice().reverse().sort((a, b) => rank(b) - rank(a));
  let placed = 0;
  for (const m of order) {
    if (placed > 160) return;
    const [x1, y1, x2, y2] = arrow(m);
    const length = Math.hypot(x2 - x1, y2 - y1), width = ctx.measureText(m.label).width;
    if (!m.label || (rank(m) === 0 && (length < width + 26 || Math.abs(x2 - x1) < 40 && size.width / list.length < 40))) continue;
    const cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
    if (cx < gutter || cx > size.width) continue;
    let angle = Math.atan2(y2 - y1, x2 - x1);
    if (angle > Math.PI / 2) angle -= Math.PI;
    if (angle < -Math.PI / 2) angle += Math.PI;
    if (!fits(free, cx, cy, angle, width, rank(m) > 0)) continue;
    placed++;
    ctx.save();
    ctx.translate(cx, cy);
    ctx.rotate(angle);
    ctx.fillStyle = colour.halo;
    ctx.fillRect(-width / 2 - 3, -15, width + 6, 13);
    ctx.fillStyle = m.breaking ? colour.broken : kindColour(m.kind);
    if (m.breaking) ctx.font = '700 11px ' + font;
    ctx.textAlign = 'center';
    ctx.fillText(m.label, 0, -8);
    ctx.restore();
  }
}

const rank = m => m === selected || m === hovered ? 3 : m.breaking ? 2 : 0;

// fits finds out whether a label lies on no other text, and if so takes the room.
function fits(free, cx, cy, angle, width, always) {
  const boxes = piecesOf(cx, cy, angle, width);
  const ok = boxes.every(b => !free.hits(b));
  if (ok || always) boxes.forEach(b => free.take(b));
  return ok || always;
}

// piecesOf returns small boxes that together cover a slanted text.
function piecesOf(cx, cy, angle, width) {
  const pieces = [], n = Math.max(1, Math.ceil(width / 14));
  for (let i = 0; i < n; i++) {
    const along = -width / 2 + (i + 0.5) * width / n;
    const px = cx + along * Math.cos(angle) + 8 * Math.sin(angle), py = cy + along * Math.sin(angle) - 8 * Math.cos(angle);
    pieces.push([px - 7, py - 6, px + 7, py + 6]);
  }
  return pieces;
}

// room remembers where texts are, in cells of the canvas.
function room() {
  const cells = new Map(), side = 24;
  const each = (b, visit) => {
    for (let i = Math.floor(b[0] / side); i <= Math.floor(b[2] / side); i++)
      for (let j = Math.floor(b[1] / side); j <= Math.floor(b[3] / side); j++)
        if (visit(i * 100003 + j)) return true;
    return false;
  };
  return {
    hits: b => each(b, key => (cells.get(key) || []).some(o => b[0] < o[2] && b[2] > o[0] && b[1] < o[3] && b[3] > o[1])),
    take: b => { each(b, key => { if (!cells.has(key)) cells.set(key, []); cells.get(key).push(b); return false; }); },
  };
}

// markPlace returns where a mark is drawn: events on the band, remarks below.
function markPlace(m) {
  const px = x(m.at);
  if (m.node < 0) return [px, axis + 7]; // it concerns all: at the top
  if (m.sign === RULE || m.sign === NOTE) return [px, top_(m.node) + band + 13];
  if (m.sign === FAULT || m.sign === NEW_VIEW) return [px, top_(m.node) - 9];
  return [px, middle(m.node)];
}

function drawSign(c, sign, px, py) {
  c.setLineDash([]);
  c.beginPath();
  switch (sign) {
  case CRASH:
    for (const [width, stroke] of [[7, colour.back], [3.5, colour.broken]]) {
      c.strokeStyle = stroke;
      c.lineWidth = width;
      c.beginPath();
      c.moveTo(px - 8, py - 8); c.lineTo(px + 8, py + 8);
      c.moveTo(px - 8, py + 8); c.lineTo(px + 8, py - 8);
      c.stroke();
    }
    return;
  case START:
    c.fillStyle = colour.text;
    c.strokeStyle = colour.back;
    c.lineWidth = 2;
    c.moveTo(px - 5, py - 8); c.lineTo(px + 8, py); c.lineTo(px - 5, py + 8); c.closePath();
    c.stroke();
    c.fill();
    return;
  case NEW_VIEW:
    c.fillStyle = colour.active;
    c.moveTo(px, py - 5); c.lineTo(px + 5, py); c.lineTo(px, py + 5); c.lineTo(px - 5, py); c.closePath();
    c.fill();
    return;
  case FAULT:
    c.fillStyle = colour.cut;
    c.moveTo(px, py + 5); c.lineTo(px - 5, py - 4); c.lineTo(px + 5, py - 4); c.closePath();
    c.fill();
    return;
  case RULE:
    c.fillStyle = colour.text;
    c.arc(px, py, 2.5, 0, 7);
    c.fill();
    return;
  case NOTE:
    c.strokeStyle = colour.quiet;
    c.lineWidth = 1.4;
    c.arc(px, py, 2.5, 0, 7);
    c.stroke();
  }
}

// drawMarks draws the signs first, then beside them the labels that there is room
// for. With too many in view only the signs stay.
function drawMarks(list, free) {
  list = list.filter(m => m.sign !== BROKEN);
  for (const m of list) {
    const [px, py] = markPlace(m);
    if (m === selected || m === hovered) {
      ctx.fillStyle = colour.focus;
      ctx.globalAlpha = 0.35;
      ctx.beginPath(); ctx.arc(px, py, 11, 0, 7); ctx.fill();
      ctx.globalAlpha = 1;
    }
    drawSign(ctx, m.sign, px, py);
    free.take([px - 4, py - 5, px + 4, py + 5]);
  }
  if (list.length > 700) return;
  ctx.font = '10.5px ' + font;
  for (const m of list) {
    if (!m.label || m.sign === CRASH || m.sign === START) continue;
    const [px, py] = markPlace(m);
    const box = [px + 5, py - 6, px + 11 + ctx.measureText(m.label).width, py + 6];
    if (box[0] < gutter || box[2] > size.width || free.hits(box)) continue;
    free.take(box);
    ctx.strokeStyle = colour.halo;
    ctx.lineWidth = 3;
    ctx.lineJoin = 'round';
    ctx.strokeText(m.label, px + 8, py + 0.5);
    ctx.fillStyle = colour.quiet;
    ctx.fillText(m.label, px + 8, py + 0.5);
  }
}

// drawBroken draws the failure's line, and keeps the place of its text free.
function drawBroken(height, free) {
  if (!broken) return;
  const px = x(broken.at);
  if (px < gutter - 2 || px > size.width) return;
  ctx.strokeStyle = colour.broken;
  ctx.lineWidth = 3;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(px, axis);
  ctx.lineTo(px, height);
  ctx.stroke();
  if (broken.node >= 0) {
    ctx.beginPath();
    ctx.arc(px, middle(broken.node), band / 2 + 5, 0, 7);
    ctx.stroke();
  }
  free.take(flag().box);
}

// flag returns the failure's text, and where it stands at the top of the line.
function flag() {
  ctx.font = '700 12px ' + font;
  const px = x(broken.at);
  const text = clipped(ctx, broken.label, Math.max(px - gutter, size.width - px) - 24);
  const width = ctx.measureText(text).width + 16;
  const left = px + width + 4 < size.width ? px : px - width;
  return {text, left, width, box: [left, axis, left + width, axis + 22]};
}

function drawFlag() {
  if (!broken || x(broken.at) < gutter - 2 || x(broken.at) > size.width) return;
  const f = flag();
  ctx.fillStyle = colour.broken;
  ctx.beginPath();
  ctx.roundRect(f.left, axis + 1, f.width, 20, 4);
  ctx.fill();
  ctx.fillStyle = colour.brokentext;
  ctx.fillText(f.text, f.left + 8, axis + 11.5);
}

// step returns the distance of the axis' lines: 1, 2 or 5 times a power of ten.
function step(span, pixels, least) {
  const raw = span / Math.max(1, pixels / least);
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  return [1, 2, 5, 10].map(n => n * power).find(n => n >= raw);
}

function drawAxis() {
  ctx.fillStyle = colour.panel;
  ctx.fillRect(0, 0, size.width, axis);
  ctx.font = '11px ' + font;
  const by = Math.max(1, step(view.to - view.from, size.width - gutter, 90));
  for (let i = Math.ceil(Math.max(view.from, Math.floor(first)) / by); i * by <= view.to; i++) {
    const px = x(i * by);
    if (px < gutter) continue;
    ctx.fillStyle = colour.line;
    ctx.fillRect(px, axis - 6, 1, 6);
    const text = clock(i * by);
    if (px + ctx.measureText(text).width + 4 > size.width) continue;
    ctx.fillStyle = colour.quiet;
    ctx.fillText(text, px + 4, axis / 2);
  }
}

function drawGround(height) {
  ctx.fillStyle = colour.back;
  ctx.fillRect(0, 0, size.width, height);
  nodes.forEach((n, i) => {
    if (i > 0 && n.group !== nodes[i - 1].group) {
      ctx.fillStyle = colour.line;
      ctx.fillRect(0, axis + 10 + i * lane - 0.5, size.width, 1);
    }
  });
  const by = Math.max(1, step(view.to - view.from, size.width - gutter, 90));
  ctx.fillStyle = colour.grid;
  for (let i = Math.ceil(view.from / by); i * by <= view.to; i++) ctx.fillRect(x(i * by), axis, 1, height);
  nodes.forEach((n, i) => {
    ctx.fillStyle = colour.line;
    ctx.fillRect(gutter, middle(i) - 0.5, size.width, 1);
  });
}

function drawNames(height) {
  ctx.fillStyle = colour.back;
  ctx.fillRect(0, axis, gutter - 8, height);
  ctx.textAlign = 'right';
  nodes.forEach((n, i) => {
    ctx.font = '650 13px ' + font;
    ctx.fillStyle = colour.text;
    ctx.fillText(clipped(ctx, n.name, gutter - 20), gutter - 14, middle(i) - (n.group === n.name ? 0 : 6));
    if (n.group === n.name) return;
    ctx.font = '10.5px ' + font;
    ctx.fillStyle = colour.quiet;
    ctx.fillText(clipped(ctx, n.group, gutter - 20), gutter - 14, middle(i) + 8);
  });
  ctx.textAlign = 'left';
}

function draw() {
  const height = size.height;
  ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  drawGround(height);
  const list = visibleMessages();
  const alpha = Math.min(0.95, Math.max(0.1, Math.sqrt(150 / (list.length + 1))));
  const dimmed = selected && selected.type === 'message' ? alpha * 0.55 : alpha;
  const boldest = list.filter(m => rank(m) > 0);
  if (list.length > 2500) paintCrowd(list, dimmed); else for (const m of list) if (rank(m) === 0) paintMessage(m, dimmed);
  drawSpans(); // over the messages that pass it by, so that its text stays clear
  const free = room();
  nodes.forEach((n, i) => free.take([0, top_(i), size.width, top_(i) + band])); // bands have texts of their own
  const here = inView(marks, 0);
  const strong = here.filter(m => m.sign !== RULE && m.sign !== NOTE), weak = here.filter(m => m.sign === RULE || m.sign === NOTE);
  drawBroken(height, free);
  for (const m of boldest.sort((a, b) => rank(a) - rank(b))) paintMessage(m, 1);
  drawMarks(strong.concat(weak), free);
  drawLabels(list, free);
  drawFlag();
  outlineSelectedSpan();
  drawNames(height);
  drawAxis();
  drawOverview();
  listSoon();
}

function outlineSelectedSpan() {
  for (const s of [hovered, selected]) {
    if (!s || s.type !== 'span') continue;
    ctx.strokeStyle = colour.focus;
    ctx.lineWidth = 2.5;
    ctx.strokeRect(x(s.from), top_(s.node) - 2, Math.max(2, x(s.to) - x(s.from)), band + 4);
  }
}

// The overview: the whole run, how dense the messages are, and what is in view.
const overX = t => gutter + (t - begin) / (end - begin) * (size.width - gutter - 10);
let density = null, densityFor = '';

function messageDensity(columns) {
  const key = columns + ':' + kinds.map(k => +k.on).join('');
  if (key !== densityFor) {
    densityFor = key;
    density = new Float64Array(columns);
    for (const m of messages) if (shown(m)) density[Math.min(columns - 1, Math.floor((m.at - begin) / (end - begin) * columns))]++;
  }
  return density;
}

function drawOverview() {
  const height = overviewHeight, c = over;
  c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  c.textBaseline = 'middle';
  c.fillStyle = colour.panel;
  c.fillRect(0, 0, size.width, height);
  const columns = Math.max(1, Math.floor((size.width - gutter - 10) / 2));
  const counts = messageDensity(columns), most = Math.max(1, ...counts);
  c.fillStyle = colour.line;
  for (let i = 0; i < columns; i++) { const h = counts[i] / most * (height - 4); c.fillRect(gutter + i * 2, height - h, 2, h); }
  for (const s of spans) {
    if (s.look > DOWN && s.look < DONE || s.look === DOWN) continue;
    const l = looks(s.look);
    c.fillStyle = s.look === UNKNOWN ? colour.cut : s.look >= DONE ? colour.quiet : l.stripe || l.fill;
    c.globalAlpha = s.look >= DONE ? 0.5 : 1;
    c.fillRect(overX(s.from), 8 + s.node * 6, Math.max(1, overX(s.to) - overX(s.from)), 3.5);
  }
  c.globalAlpha = 1;
  for (const m of marks) if (m.sign === CRASH) {
    const px = overX(m.at), py = 9.7 + m.node * 6;
    c.strokeStyle = colour.broken; c.lineWidth = 1.6;
    c.beginPath(); c.moveTo(px - 3, py - 3); c.lineTo(px + 3, py + 3); c.moveTo(px - 3, py + 3); c.lineTo(px + 3, py - 3); c.stroke();
  }
  if (broken) { c.fillStyle = colour.broken; c.fillRect(overX(broken.at) - 1.5, 0, 3, height); }
  const left = overX(Math.max(view.from, begin)), right = overX(Math.min(view.to, end));
  c.fillStyle = colour.focus;
  c.globalAlpha = 0.14;
  c.fillRect(left, 0, Math.max(3, right - left), height);
  c.globalAlpha = 1;
  c.strokeStyle = colour.focus; c.lineWidth = 1.5;
  c.strokeRect(left, 0.75, Math.max(3, right - left), height - 1.5);
  c.font = '11px ' + font;
  c.fillStyle = colour.quiet;
  c.textAlign = 'right';
  c.fillText('whole run', gutter - 14, height / 2);
  c.textAlign = 'left';
}

// Moving.

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

// Telling.

const number = t => (Math.floor(t) + 0).toLocaleString('en');
const clock = t => number(t) + ' ' + D.unit;
const nodeName = i => i < 0 ? 'all' : nodes[i].name;

function line(h) {
  switch (h.type) {
  case 'message': return nodeName(h.from) + ' → ' + nodeName(h.to) + '  ' + h.label + (h.fate === LOST ? '  (lost)' : h.again ? '  (again)' : '');
  case 'mark': return (h.node < 0 ? '' : nodeName(h.node) + '  ') + h.label + (h.sign === RULE && h.detail ? '  ' + h.detail : '');
  default: return nodeName(h.node) + '  ' + h.label;
  }
}

function facts(h) {
  const out = [];
  switch (h.type) {
  case 'message': {
    let fate = h.fate === LOST ? 'lost at ' + clock(h.there) : h.fate === UNDER_WAY ? 'still under way at the end' : 'delivered ' + clock(h.there);
    out.push(kinds[h.kind].name + ', ' + nodeName(h.from) + ' → ' + nodeName(h.to), 'sent ' + clock(h.at) + ', ' + fate);
    if (h.again) out.push('not its first delivery');
    if (h.stale) out.push('from an older view than its receiver was in');
    if (h.breaking) out.push('the invariant broke as this was taken in');
    break;
  }
  case 'mark': out.push(signNames[h.sign] + (h.node < 0 ? '' : ' at ' + nodeName(h.node)) + ', ' + clock(h.at)); break;
  default: out.push(nodeName(h.node) + ': ' + lookNames[h.look], clock(h.from) + ' to ' + clock(h.to));
  }
  return out;
}

function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function tell(into, h) {
  into.append(element('p', h.label || facts(h)[0], h.sign === BROKEN && h.type === 'mark' || h.breaking ? 'title broken' : 'title'));
  for (const f of facts(h)) into.append(element('p', f, 'quiet'));
  if (h.detail) into.append(element('pre', h.detail));
}

function tellSelected() {
  const into = $('details');
  into.replaceChildren();
  if (selected) { tell(into, selected); return; }
  if (broken) tell(into, broken); else into.append(element('p', 'Everything held.', 'title'));
  into.append(element('p', 'Point at anything to see what it is; click to keep it here. Drag or ← → to move, wheel or + − to zoom, ↑ ↓ from one happening to the next.', 'hint'));
}

function select(h, bring) {
  selected = h;
  tellSelected();
  if (h && bring && (h.at < view.from + (view.to - view.from) * 0.08 || h.at > view.to - (view.to - view.from) * 0.08)) {
    const half = (view.to - view.from) / 2;
    show(h.at - half, h.at + half);
  }
  redraw();
}

const walkable = () => happenings.filter(shown);

function walk(by) {
  const list = walkable();
  if (!list.length) return;
  let i = selected ? list.indexOf(selected) : -1;
  if (i < 0) i = lowerBound(list, selected ? selected.at : broken ? broken.at : view.from) - (by > 0 ? 1 : 0);
  select(list[Math.max(0, Math.min(list.length - 1, i + by))], true);
}

let listTimer = 0;
function listSoon() {
  if (!listTimer) listTimer = setTimeout(() => { listTimer = 0; fillList(); }, 80);
}

const listMost = 240;
function fillList() {
  let list = inView(happenings, 0).filter(shown);
  const all = list.length;
  const anchor = selected && list.includes(selected) ? list.indexOf(selected)
    : broken && list.includes(broken) ? list.indexOf(broken) : all >> 1;
  if (all > listMost) {
    const from = Math.max(0, Math.min(all - listMost, anchor - (listMost >> 1)));
    list = list.slice(from, from + listMost);
  }
  $('listtitle').textContent = 'In view: ' + all.toLocaleString('en') + (all > list.length ? ', ' + list.length + ' listed' : '');
  const ol = $('list'), items = [];
  let current = null;
  for (const h of list) {
    const li = element('li'), b = element('button', undefined, h === broken ? 'broken' : '');
    b.type = 'button';
    b.append(element('time', number(h.at)), element('span', line(h)));
    b.title = clock(h.at) + '  ' + line(h);
    if (h === selected) { b.setAttribute('aria-current', 'true'); }
    if (h === selected || (!selected && h === broken)) current = li;
    b.addEventListener('click', () => select(h, true));
    li.append(b);
    items.push(li);
  }
  const had = ol.contains(document.activeElement);
  ol.replaceChildren(...items);
  if (current) {
    ol.scrollTop = current.offsetTop - ol.offsetTop - ol.clientHeight / 2;
    if (had) current.firstChild.focus({preventScroll: true});
  }
}

// Pointing.

function distance(px, py, [x1, y1, x2, y2]) {
  const dx = x2 - x1, dy = y2 - y1, length = dx * dx + dy * dy;
  const t = length ? Math.max(0, Math.min(1, ((px - x1) * dx + (py - y1) * dy) / length)) : 0;
  return Math.hypot(px - x1 - t * dx, py - y1 - t * dy);
}

// pointedAt returns what lies under a point, the nearest first.
function pointedAt(px, py) {
  const found = [];
  if (broken && Math.abs(px - x(broken.at)) < 5) found.push([4, broken]);
  for (const m of inView(marks, 0)) {
    if (m.sign === BROKEN) continue;
    const [mx, my] = markPlace(m), d = Math.hypot(px - mx, py - my);
    if (d < 10) found.push([d - 3, m]);
  }
  for (const m of visibleMessages()) {
    const d = distance(px, py, arrow(m));
    if (d < 6) found.push([d, m]);
  }
  found.sort((a, b) => a[0] - b[0]);
  if (!found.length) {
    for (const s of spans) {
      const y = top_(s.node);
      const strip = s.look === FROZEN ? [y - 7, y - 1] : s.look === CUT ? [y + band + 1, y + band + 7] : [y, y + band];
      if (px >= x(s.from) && px <= x(s.to) && py >= strip[0] && py <= strip[1]) found.push([9, s]);
    }
  }
  return found.map(f => f[1]);
}

function point(event) {
  const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
  const found = px > gutter - 8 && py > axis - 4 ? pointedAt(px, py) : [];
  canvas.classList.toggle('pointing', found.length > 0);
  if (hovered !== (found[0] || null)) { hovered = found[0] || null; redraw(); }
  tip.hidden = !found.length;
  if (!found.length) return found;
  tip.replaceChildren();
  tell(tip, found[0]);
  for (const h of found.slice(1, 5)) tip.append(element('p', line(h), 'more'));
  if (found.length > 5) tip.append(element('p', 'and ' + (found.length - 5) + ' more here; zoom in to part them', 'more'));
  const area = $('picture').getBoundingClientRect(), left = event.clientX - area.left, top = event.clientY - area.top;
  tip.style.left = Math.max(4, left + 16 + tip.offsetWidth > area.width ? left - tip.offsetWidth - 12 : left + 16) + 'px';
  tip.style.top = Math.max(4, Math.min(top + 14, area.height - tip.offsetHeight - 6)) + 'px';
  return found;
}

const pointers = new Map();
let moved = false;
canvas.addEventListener('pointerdown', e => {
  pointers.set(e.pointerId, e.clientX);
  moved = false;
  canvas.setPointerCapture(e.pointerId);
});
canvas.addEventListener('pointermove', e => {
  if (!pointers.has(e.pointerId)) { point(e); return; }
  const before = [...pointers.values()];
  const by = e.clientX - pointers.get(e.pointerId);
  pointers.set(e.pointerId, e.clientX);
  const now = [...pointers.values()];
  if (pointers.size === 2) { // two fingers
    const was = Math.abs(before[0] - before[1]), is = Math.abs(now[0] - now[1]);
    if (was > 10 && is > 10) zoom(was / is, time((now[0] + now[1]) / 2 - canvas.getBoundingClientRect().left));
    moved = true;
  } else if (moved || Math.abs(by) > 2) {
    moved = true;
    canvas.classList.add('dragging');
    tip.hidden = true;
    show(view.from - by / scale(), view.to - by / scale());
  }
});
for (const over of ['pointerup', 'pointercancel']) canvas.addEventListener(over, e => {
  pointers.delete(e.pointerId);
  canvas.classList.remove('dragging');
  if (over === 'pointerup' && !moved) select(point(e)[0] || null, false);
});
canvas.addEventListener('pointerleave', () => { tip.hidden = true; hovered = null; redraw(); });
canvas.addEventListener('wheel', e => {
  e.preventDefault();
  tip.hidden = true;
  if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) pan((e.deltaX || e.deltaY) / (size.width - gutter));
  else zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) * 0.006), time(e.clientX - canvas.getBoundingClientRect().left));
}, {passive: false});

function jump(e) {
  const share = (e.clientX - overview.getBoundingClientRect().left - gutter) / (size.width - gutter - 10);
  const at = begin + share * (end - begin), half = (view.to - view.from) / 2;
  show(at - half, at + half);
}
overview.addEventListener('pointerdown', e => { overview.setPointerCapture(e.pointerId); jump(e); });
overview.addEventListener('pointermove', e => { if (e.buttons) jump(e); });

// Keys and buttons.

const actions = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), PageUp: () => pan(-0.9), PageDown: () => pan(0.9),
  ArrowUp: () => walk(-1), ArrowDown: () => walk(1), k: () => walk(-1), j: () => walk(1),
  Home: () => show(begin, begin + view.to - view.from), End: () => show(end - (view.to - view.from), end),
  '+': () => zoom(1 / 1.5, centre()), '=': () => zoom(1 / 1.5, centre()), '-': () => zoom(1.5, centre()),
  0: () => show(begin, end), f: toFailure, Escape: () => select(null, false), '?': toggleLegend,
};
document.addEventListener('keydown', e => {
  const action = actions[e.key];
  const control = e.target.closest('button, input');
  if (!action || e.ctrlKey || e.metaKey || e.altKey || (control && (control.type === 'checkbox') && e.key === ' ')) return;
  e.preventDefault();
  action();
});
function toFailure() {
  if (!broken) return;
  show(...interesting());
  select(broken, false);
}
function toggleLegend() {
  $('legend').hidden = !$('legend').hidden;
  $('help').setAttribute('aria-expanded', String(!$('legend').hidden));
  resize();
}
$('in').addEventListener('click', () => zoom(1 / 1.5, centre()));
$('out').addEventListener('click', () => zoom(1.5, centre()));
$('all').addEventListener('click', () => show(begin, end));
$('failure').addEventListener('click', toFailure);
$('help').addEventListener('click', toggleLegend);

const swatches = []; // small drawings, drawn again when the colours change
function swatch(width, height, paint) {
  const c = element('canvas');
  c.style.width = width + 'px';
  c.style.height = height + 'px';
  c.setAttribute('aria-hidden', 'true');
  swatches.push(() => {
    c.width = width * devicePixelRatio;
    c.height = height * devicePixelRatio;
    const s = c.getContext('2d');
    s.scale(devicePixelRatio, devicePixelRatio);
    paint(s);
  });
  return c;
}

function fillFilters() {
  kinds.forEach((k, i) => {
    if (!k.count) return;
    const label = element('label'), box = element('input');
    box.type = 'checkbox';
    box.checked = k.on;
    box.addEventListener('change', () => { k.on = box.checked; redraw(); });
    label.append(box, swatch(26, 10, s => drawArrow(s, [1, 5, 25, 5], kindColour(i), kindDash(i), 2, ARRIVED)),
      element('span', k.name), element('span', k.count.toLocaleString('en'), 'count'));
    $('filters').append(label);
  });
}

function fillLegend() {
  const ul = element('ul');
  const add = (paint, text) => { const li = element('li'); li.append(swatch(46, 24, paint), element('span', text)); ul.append(li); };
  const used = new Set(spans.map(s => s.look)), signs = new Set(marks.map(m => m.sign));
  lookNames.forEach((name, look) => { if (used.has(look)) add(s => drawBand(s, look, 2, 44, look === FROZEN ? 14 : 4, look === CUT ? 6 : 16), (look >= DONE ? 'operation: ' : '') + name); });
  const texts = ['crash: its memory is lost', 'start, or restart as somebody new', 'a view was made or adopted', 'a rule fired', 'a fault', 'something worth a note', ''];
  for (let sign = CRASH; sign < BROKEN; sign++) if (signs.has(sign)) add(s => drawSign(s, sign, 22, 12), texts[sign]);
  const stroke = () => kindColour(0);
  add(s => drawArrow(s, [2, 4, 42, 20], stroke(), [], 1.6, ARRIVED), 'message, from sent to delivered');
  add(s => drawArrow(s, [2, 4, 34, 17], stroke(), [], 1.6, LOST), 'message that was lost');
  add(s => drawArrow(s, [2, 4, 34, 17], stroke(), [], 1.6, UNDER_WAY), 'message still under way at the end');
  add(s => { drawArrow(s, [2, 4, 42, 20], stroke(), [], 4, ARRIVED); s.strokeStyle = colour.panel; s.lineWidth = 1.4; s.beginPath(); s.moveTo(2, 4); s.lineTo(38, 18.4); s.stroke(); }, 'message delivered again');
  add(s => { drawArrow(s, [2, 4, 36, 17], stroke(), [], 1.6, ARRIVED); s.lineWidth = 1.6; s.beginPath(); s.arc(36, 17, 5, 0, 7); s.stroke(); }, 'message of an older view');
  if (broken) {
    add(s => drawArrow(s, [2, 4, 42, 20], colour.broken, [], 3, ARRIVED), 'the message that broke it');
    add(s => { s.fillStyle = colour.broken; s.fillRect(21, 0, 3, 24); }, 'the invariant breaks');
  }
  $('legend').append(ul);
  const keys = element('p');
  for (const [key, text] of [['← →', 'move'], ['+ −', 'zoom'], ['↑ ↓', 'next and previous'], ['f', 'failure'], ['0', 'whole run'], ['Home End', 'begin and end'], ['Esc', 'let go'], ['?', 'this']]) {
    keys.append(element('kbd', key), ' ' + text + '   ');
  }
  $('legend').append(keys);
}

function dress() {
  readColours();
  for (const paint of swatches) paint();
  redraw();
}

fillFilters();
fillLegend();
dress();
tellSelected();
resize();
show(...interesting());
draw();
new ResizeObserver(resize).observe($('picture'));
addEventListener('resize', resize);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', dress);
})();
