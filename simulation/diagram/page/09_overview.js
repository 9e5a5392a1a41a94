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
