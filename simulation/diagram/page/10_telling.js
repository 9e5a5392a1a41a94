// Words for what is drawn: in the panel, and in the list of what is in view.

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
