// The failure: a line through everything.

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
