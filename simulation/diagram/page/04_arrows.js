// The arrows: messages.

const kindColour = k => colour['kind' + k % 6];
// Kinds differ by their dashes, too.
const kindDash = k => [[], [7, 3], [], [2, 3], [1, 3], [9, 3, 2, 3]][k % 6];

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
