// The bands: what each node was.

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
      drawBand(ctx, s.look, x1, x2, above(s.node), band);
      const l = looks(s.look);
      if (l.strip || !s.label) continue;
      ctx.font = '600 12px ' + font;
      const cornered = corners.some(c => c.node === s.node && Math.abs(c.px - x1) < 9); // a sign covers the corner
      const left = Math.max(x1, gutter) + (cornered ? 13 : 6);
      const text = clipped(ctx, s.label, Math.min(x2, size.width) - left - 6);
      if (!text) continue;
      if (l.halo) { // stripes lie under the text
        ctx.fillStyle = colour.halo;
        ctx.fillRect(left - 3, above(s.node) + 3, ctx.measureText(text).width + 6, band - 6);
      }
      ctx.fillStyle = l.text;
      ctx.fillText(text, left, middle(s.node) + 0.5);
    }
  }
}
