// The marks: what happened to a node at a moment.

// markPlace returns where a mark is drawn: events on the band, remarks below.
function markPlace(m) {
  const px = x(m.at);
  if (m.node < 0) return [px, axis + 7]; // it concerns all: at the top
  if (m.sign === RULE || m.sign === NOTE) return [px, above(m.node) + band + 13];
  if (m.sign === FAULT || m.sign === NEW_VIEW) return [px, above(m.node) - 9];
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
