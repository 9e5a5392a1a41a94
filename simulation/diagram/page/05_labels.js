// The texts at the arrows: as many as lie on nothing else.

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
