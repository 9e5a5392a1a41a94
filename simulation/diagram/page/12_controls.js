// Keys, buttons, filters and the legend; and the beginning of it all.

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
  const texts = ['crash', 'start, or return after a crash', 'a view was made or adopted', 'a rule fired', 'a fault', 'a note, as of a commit', ''];
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
