// The pointer: hover, click, drag, wheel, two fingers.

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
      const y = above(s.node);
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
for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, e => {
  pointers.delete(e.pointerId);
  canvas.classList.remove('dragging');
  if (name === 'pointerup' && !moved) select(point(e)[0] || null, false);
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
