// The whole picture, with its axis and its names.

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
  nodes.forEach((n, i) => free.take([0, above(i), size.width, above(i) + band])); // bands have texts of their own
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
    ctx.strokeRect(x(s.from), above(s.node) - 2, Math.max(2, x(s.to) - x(s.from)), band + 4);
  }
}
