'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const features = data.features;
  const byKey = new Map(features.map((feature, at) => [feature.feature, at]));
  const $ = id => document.getElementById(id);
  const stage = $('stage'), view = $('view'), panel = $('panel'), search = $('search');
  const drawings = [...document.querySelectorAll('.drawing')];

  // What is upstream and downstream of each feature in this drawing.
  const above = features.map(() => []), below = features.map(() => []);
  features.forEach((feature, at) => feature.dependencies.forEach(dep => {
    const from = byKey.get(dep.feature);
    if (from !== undefined && !above[at].includes(from)) { above[at].push(from); below[from].push(at); }
  }));

  // Each drawing: its cards and lines, and where the cards are.
  const scenes = drawings.map(root => {
    const cards = [];
    root.querySelectorAll('.feature').forEach(card => {
      const rect = card.querySelector('.card');
      const [, x, y] = card.getAttribute('transform').match(/\((-?\d+) (-?\d+)\)/);
      cards[card.dataset.feature] = {
        card, x: +x, y: +y, width: +rect.getAttribute('width'), height: +rect.getAttribute('height'),
        fields: [...card.querySelectorAll('.field')],
      };
    });
    const lines = [...root.querySelectorAll('.edge')].map(line => ({ line, from: +line.dataset.from, to: +line.dataset.to }));
    return { root, cards, lines, width: +root.dataset.width, height: +root.dataset.height, fields: root.dataset.fields === 'yes' };
  });
  let scene = scenes.find(scene => !scene.root.hasAttribute('hidden')) || scenes[0];
  const startsWithFields = scene.fields;

  const state = { q: '', tone: '', feature: -1, field: '' };
  const camera = { x: 0, y: 0, k: 1 };
  // Whether a person has moved it.
  let held = false;

  // ---- The camera

  function show() {
    view.setAttribute('transform', `translate(${camera.x} ${camera.y}) scale(${camera.k})`);
  }
  function zoom(by, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const k = Math.min(4, Math.max(0.05, camera.k * by));
    camera.x = x - (x - camera.x) * k / camera.k;
    camera.y = y - (y - camera.y) * k / camera.k;
    camera.k = k;
    show();
  }
  function fit() {
    const margin = 36, width = stage.clientWidth, height = stage.clientHeight;
    const k = Math.min((width - 2 * margin) / Math.max(scene.width, 1), (height - 2 * margin) / Math.max(scene.height, 1));
    camera.k = Math.min(1.25, Math.max(0.05, k));
    camera.x = (width - scene.width * camera.k) / 2;
    camera.y = (height - scene.height * camera.k) / 2;
    show();
  }
  // Everything, or so much of it that names can be read.
  function begin() {
    fit();
    const least = 0.4;
    if (camera.k >= least) return;
    camera.k = least;
    camera.x = 36;
    camera.y = (stage.clientHeight - scene.height * least) / 2;
    show();
  }
  function reveal(at) {
    const card = scene.cards[at], margin = 20;
    if (!card) return;
    if (camera.k < 0.55) zoom(0.8 / camera.k);
    const left = card.x * camera.k + camera.x, top = card.y * camera.k + camera.y;
    const right = left + card.width * camera.k, bottom = top + card.height * camera.k;
    const width = stage.clientWidth, height = stage.clientHeight;
    if (left < margin || right > width - margin) camera.x += width / 2 - (left + right) / 2;
    if (top < margin || bottom > height - margin) camera.y += height / 2 - (top + bottom) / 2;
    show();
  }

  // ---- What is found and chosen

  const texts = value => value && typeof value === 'object' ? Object.entries(value).flatMap(([key, inner]) => [key, ...texts(inner)]) : [String(value ?? '')];
  const haystacks = features.map(feature => [
    feature.feature, feature.project, feature.description, feature.version, feature.code_version,
    ...(feature.id_columns || []), ...texts(feature.metadata),
    ...feature.fields.flatMap(field => [field.field, field.code_version, field.version]),
    feature.status ? feature.status.category.replaceAll('_', ' ') : '', feature.change ? feature.change.words : '',
  ].join('\n').toLowerCase());

  function matches(at) {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    return words.every(word => haystacks[at].includes(word));
  }
  function found() {
    if (!state.q.trim() && !state.tone) return null;
    return features.map((_, at) => at).filter(at => matches(at) && (!state.tone || tones(features[at]).includes(state.tone)));
  }
  function reach(start, next) {
    const reached = new Set([start]), pending = [start];
    while (pending.length) {
      for (const further of next[pending.pop()]) {
        if (!reached.has(further)) { reached.add(further); pending.push(further); }
      }
    }
    return reached;
  }
  const name = (feature, field) => feature + '\n' + field;
  // The fields that a field comes from, and those that come from it.
  function lineage(key, field) {
    const parents = new Map(), children = new Map();
    features.forEach(feature => feature.fields.forEach(own => own.parents.forEach(parent => {
      const [child, from] = [name(feature.feature, own.field), name(parent.feature, parent.field)];
      parents.set(child, [...(parents.get(child) || []), from]);
      children.set(from, [...(children.get(from) || []), child]);
    })));
    const all = new Set();
    for (const next of [parents, children]) {
      const pending = [name(key, field)], seen = new Set(pending);
      while (pending.length) {
        const at = pending.pop();
        all.add(at);
        for (const further of next.get(at) || []) if (!seen.has(further)) { seen.add(further); pending.push(further); }
      }
    }
    return all;
  }

  function draw() {
    const hits = found();
    const hit = hits && new Set(hits);
    const chosen = state.feature;
    const up = chosen < 0 ? null : reach(chosen, above), down = chosen < 0 ? null : reach(chosen, below);
    const fields = chosen >= 0 && state.field ? lineage(features[chosen].feature, state.field) : null;
    const near = at => chosen < 0 || up.has(at) || down.has(at);
    const withFields = at => features[at].fields.some(field => fields.has(name(features[at].feature, field.field)));
    for (const { cards, lines } of scenes) {
      cards.forEach(({ card, fields: texts }, at) => {
        const dim = hit ? !hit.has(at) && at !== chosen : fields ? !withFields(at) : !near(at);
        card.classList.toggle('dim', dim);
        card.classList.toggle('hit', !!hit && hit.has(at));
        card.classList.toggle('chosen', at === chosen);
        texts.forEach((text, n) => text.classList.toggle('part', !!fields && fields.has(name(features[at].feature, features[at].fields[n].field))));
      });
      for (const { line, from, to } of lines) {
        let on = chosen >= 0 && ((up.has(from) && up.has(to)) || (down.has(from) && down.has(to)));
        if (on && fields) on = withFields(from) && withFields(to);
        line.classList.toggle('on', on);
        line.classList.toggle('dim', !on && (chosen >= 0 || (!!hit && !(hit.has(from) && hit.has(to)))));
      }
    }
    $('found').textContent = hits ? `${hits.length} of ${features.length}` : '';
    document.body.dataset.found = hits ? hits.length : '';
    document.querySelectorAll('#tones button').forEach(button => button.setAttribute('aria-pressed', button.dataset.tone === state.tone));
    describe();
  }

  function choose(at, field = '') {
    state.feature = at;
    state.field = field;
    draw();
    if (at >= 0) reveal(at);
    keep();
  }

  // ---- The panel

  function make(tag, options = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(options)) {
      if (key === 'click') element.addEventListener('click', value);
      else if (key === 'class') element.className = value;
      else element.setAttribute(key, value);
    }
    element.append(...children.filter(child => child !== null && child !== undefined && child !== ''));
    return element;
  }
  const code = text => make('code', {}, text);
  const number = n => n === null || n === undefined ? '–' : n.toLocaleString('en');
  function link(key) {
    const at = byKey.get(key);
    if (at === undefined) return make('span', { class: 'name' }, key);
    return make('button', { type: 'button', class: 'link', click: () => choose(at) }, key);
  }
  function list(items, between = ', ') {
    return items.flatMap((item, at) => at ? [between, item] : [item]);
  }
  function section(title, count, ...children) {
    return [make('h3', {}, title, count === null ? null : make('span', { class: 'n' }, ` ${count}`)), ...children];
  }

  const words = { missing: 'Never written', upstream_missing: 'Something upstream is missing', needs_update: 'Needs an update', up_to_date: 'Up to date', root_feature: 'Root feature: its samples come from outside' };
  function tones(feature) {
    const status = feature.status;
    if (feature.change) return [feature.change.tone];
    if (!status) return [];
    const some = ['new', 'stale', 'orphaned'].filter(part => status[part] > 0);
    if (status.category === 'missing' || status.category === 'upstream_missing') some.push('missing');
    if (status.category === 'up_to_date') some.push('good');
    return some;
  }

  function standing(feature) {
    const { status, change } = feature;
    if (change) return [make('div', { class: `said ${change.tone}` }, change.words)];
    if (!status) return [];
    const tone = ['missing', 'stale', 'new', 'orphaned', 'good'].find(tone => tones(feature).includes(tone)) || 'plain';
    let said = words[status.category] || status.category;
    if (status.missing_upstream) said = `${said}: ${status.missing_upstream}`;
    if (status.store && status.store !== data.store) said += ` (in store ${status.store})`;
    const count = (part, tone) => make('div', { class: tone && status[part] > 0 ? `some ${tone}` : '' }, make('b', {}, number(status[part])), part);
    return [
      make('div', { class: `said ${tone}` }, said),
      make('div', { class: 'counts' }, count('samples', ''), count('new', 'new'), count('stale', 'stale'), count('orphaned', 'orphaned')),
    ];
  }

  function field(feature, own) {
    const initial = own.code_version === '__metaxy_initial__';
    const parents = new Map();
    own.parents.forEach(parent => parents.set(parent.feature, [...(parents.get(parent.feature) || []), parent.field]));
    const from = [...parents].map(([key, fields]) => make('div', { class: 'small' }, '← ', link(key), ' ', ...list(fields.map(code))));
    const chosen = state.field === own.field;
    const title = make('button', { type: 'button', class: `mono name${chosen ? ' chosen' : ''}`, 'aria-pressed': chosen,
      title: 'Show what it comes from and what comes from it',
      click: () => choose(byKey.get(feature.feature), chosen ? '' : own.field) }, own.field);
    return make('li', {},
      make('div', { class: 'row' }, title, own.version ? make('span', { class: 'mono version' }, own.version) : null),
      initial ? null : make('div', { class: 'small' }, 'code ', code(own.code_version)), ...from);
  }

  const relations = { '1:1': null, 'N:1': 'many rows make one', '1:N': 'one row makes many' };
  function dependency(dep) {
    const notes = [];
    const relation = dep.lineage && dep.lineage.relationship || {};
    if (dep.optional) notes.push(['optional']);
    if (relations[relation.type]) notes.push([relations[relation.type], ...(relation.on ? [', by ', ...list(relation.on.map(code))] : [])]);
    if (dep.select) notes.push(dep.select.length ? ['columns ', ...list(dep.select.map(code))] : ['no columns of its own']);
    if (dep.rename) notes.push(['renamed ', ...list(Object.entries(dep.rename).map(([old, now]) => code(`${old} → ${now}`)))]);
    (dep.sql_filters || []).forEach(filter => notes.push(['where ', code(filter)]));
    const mapping = dep.fields_mapping && dep.fields_mapping.mapping || {};
    if (mapping.type === 'all') notes.push(['each field depends on all its fields']);
    if (mapping.type === 'none') notes.push(['fields depend on it only where they say so']);
    if (mapping.match_suffix) notes.push(['fields are matched by the end of their keys']);
    if (mapping.exclude_fields && mapping.exclude_fields.length) notes.push(['without ', ...list(mapping.exclude_fields.map(key => code([].concat(key).join('/'))))]);
    if (mapping.type === 'specific') Object.entries(mapping.mapping).forEach(([own, theirs]) =>
      notes.push([code(own), ' ← ', ...list(theirs.map(key => code([].concat(key).join('/'))))]));
    return make('li', {}, link(dep.feature), ...notes.map(note => make('div', { class: 'small' }, ...note)));
  }

  function describe() {
    const feature = features[state.feature];
    const wasHidden = panel.hidden;
    panel.hidden = !feature;
    if (!feature) { panel.replaceChildren(); delete panel.dataset.feature; return; }
    const sameFeature = panel.dataset.feature === feature.feature, scrolled = panel.scrollTop;
    panel.dataset.feature = feature.feature;
    const versions = [['feature', feature.version], ['code', feature.code_version], ['definition', feature.definition_version]].filter(([, version]) => version);
    const metadata = Object.entries(feature.metadata || {});
    const sub = [feature.project && feature.project !== data.project ? feature.project : null, feature.external ? 'external' : null, feature.in_graph ? null : 'not in this graph'].filter(Boolean);
    panel.replaceChildren(
      make('header', {}, make('h2', {}, feature.feature), make('button', { type: 'button', class: 'close', 'aria-label': 'Close', click: () => choose(-1) }, '×')),
      sub.length ? make('div', { class: 'sub' }, sub.join(' · ')) : '',
      feature.description ? make('p', {}, feature.description) : '',
      ...standing(feature),
      ...(feature.fields.length ? section('Fields', feature.fields.length, make('ul', {}, ...feature.fields.map(own => field(feature, own)))) : []),
      ...(feature.id_columns ? section('Identified by', null, make('div', {}, ...list(feature.id_columns.map(code)))) : []),
      ...(feature.dependencies.length ? section('Depends on', feature.dependencies.length, make('ul', {}, ...feature.dependencies.map(dependency))) : []),
      ...(feature.dependents.length ? section('Needed by', feature.dependents.length, make('ul', {}, ...feature.dependents.map(key => make('li', {}, link(key))))) : []),
      ...(versions.length ? section('Versions', null, make('dl', {}, ...versions.flatMap(([what, version]) => [make('dt', {}, what), make('dd', {}, code(version))]))) : []),
      ...(metadata.length ? section('Metadata', null, make('dl', {}, ...metadata.flatMap(([key, value]) =>
        [make('dt', {}, key), make('dd', {}, typeof value === 'string' ? value : make('pre', { class: 'mono' }, JSON.stringify(value, null, 2)))]))) : []),
    );
    panel.scrollTop = sameFeature ? scrolled : 0;
    // The panel takes room: what was chosen must not be behind it.
    if (wasHidden) requestAnimationFrame(() => state.feature >= 0 && reveal(state.feature));
  }

  // ---- Links that can be shared: #q=…&tone=…&f=…&field=…

  function keep() {
    const hash = new URLSearchParams();
    if (state.q.trim()) hash.set('q', state.q.trim());
    if (state.tone) hash.set('tone', state.tone);
    if (state.feature >= 0) hash.set('f', features[state.feature].feature);
    if (state.field) hash.set('field', state.field);
    if (scene.fields !== startsWithFields) hash.set('fields', scene.fields ? 'yes' : 'no');
    const text = hash.toString();
    history.replaceState(null, '', text ? `#${text}` : location.pathname + location.search);
  }
  function restore() {
    const hash = new URLSearchParams(location.hash.slice(1));
    const at = byKey.get(hash.get('f'));
    state.q = search.value = hash.get('q') || '';
    state.tone = hash.get('tone') || '';
    state.feature = at === undefined ? -1 : at;
    state.field = state.feature >= 0 && hash.get('field') || '';
    if (hash.has('fields')) setFields(hash.get('fields') === 'yes');
    draw();
    begin();
    if (state.feature >= 0) reveal(state.feature);
  }

  function setFields(on) {
    const next = scenes.find(scene => scene.fields === on);
    if (next) {
      scene = next;
      scenes.forEach(scene => scene.root.toggleAttribute('hidden', scene !== next));
    }
    $('fields').setAttribute('aria-pressed', scene.fields);
    fit();
    if (state.feature >= 0) reveal(state.feature);
  }

  // ---- Above the graph

  function summary() {
    const names = { new: 'new', stale: 'stale', orphaned: 'orphaned', missing: 'never written', good: 'up to date' };
    const changes = { good: 'added', stale: 'changed', new: 'affected', orphaned: 'removed' };
    const isDiff = features.some(feature => feature.change);
    const labels = isDiff ? changes : names;
    for (const [tone, label] of Object.entries(labels)) {
      const those = features.filter(feature => tones(feature).includes(tone));
      if (!those.length) continue;
      // Of what has samples that need work, the samples are told, otherwise the features.
      const part = !isDiff && ['new', 'stale', 'orphaned'].includes(tone) ? tone : null;
      const samples = those.reduce((sum, feature) => sum + (part ? feature.status[part] : 0), 0);
      const of = `${number(those.length)} feature${those.length === 1 ? '' : 's'}`;
      $('tones').append(make('button', { type: 'button', class: tone, 'data-tone': tone, 'aria-pressed': 'false',
        title: part ? `${number(samples)} ${label} in ${of}` : `${of} ${label}`,
        click: () => { state.tone = state.tone === tone ? '' : tone; draw(); keep(); } }, `${number(part ? samples : those.length)} ${label}`));
    }
  }

  // ---- Pointer and keys

  const pointers = new Map();
  let moved = false;
  stage.addEventListener('pointerdown', event => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 1) moved = false;
  });
  stage.addEventListener('pointermove', event => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    if (!moved && pointers.size === 1 && Math.hypot(dx, dy) < 4) return;
    if (!moved) { moved = held = true; stage.setPointerCapture(event.pointerId); }
    if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const { left, top } = stage.getBoundingClientRect();
      const before = Math.hypot(last.x - other.x, last.y - other.y), now = Math.hypot(event.clientX - other.x, event.clientY - other.y);
      if (before > 0 && now > 0) zoom(now / before, (event.clientX + other.x) / 2 - left, (event.clientY + other.y) / 2 - top);
    } else {
      camera.x += dx;
      camera.y += dy;
      show();
    }
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  const released = event => pointers.delete(event.pointerId);
  stage.addEventListener('pointerup', released);
  stage.addEventListener('pointercancel', released);
  stage.addEventListener('click', event => {
    if (moved) { moved = false; return; }
    const card = event.target.closest('.feature');
    if (!card) return choose(-1);
    const at = +card.dataset.feature, text = event.target.closest('.field');
    const own = text && features[at].fields[scene.cards[at].fields.indexOf(text)];
    choose(at, own ? own.field : '');
  });
  stage.addEventListener('wheel', event => {
    event.preventDefault();
    const { left, top } = stage.getBoundingClientRect();
    held = true;
    const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    if (event.shiftKey) { camera.x -= step; show(); return; }
    zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0018)), event.clientX - left, event.clientY - top);
  }, { passive: false });

  search.addEventListener('input', () => { state.q = search.value; draw(); keep(); });
  search.addEventListener('keydown', event => {
    if (event.key === 'Enter') {
      const hits = found() || [];
      if (!hits.length) return;
      const at = hits.indexOf(state.feature), step = event.shiftKey ? hits.length - 1 : 1;
      choose(hits[at < 0 ? 0 : (at + step) % hits.length]);
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      if (!search.value) { stage.focus(); return; }
      state.q = search.value = '';
      draw();
      keep();
    }
  });

  // The feature next to the chosen one: left and right of those one step away, up and down of the column or of all.
  function go(key) {
    if (!features.length) return;
    const cards = scene.cards;
    if (state.feature < 0) return choose(0);
    const here = cards[state.feature];
    const middle = card => ({ x: card.x + card.width / 2, y: card.y + card.height / 2 });
    const from = middle(here);
    const side = key === 'ArrowLeft' || key === 'ArrowRight';
    let others = side ? (key === 'ArrowLeft' ? above : below)[state.feature] : features.map((_, at) => at).filter(at => at !== state.feature);
    if (!side) {
      const sign = key === 'ArrowUp' ? -1 : 1;
      const column = others.filter(at => cards[at].x === here.x && (middle(cards[at]).y - from.y) * sign > 0);
      others = column.length ? column : others.filter(at => (middle(cards[at]).y - from.y) * sign > 0);
    }
    const far = at => { const to = middle(cards[at]); return side ? 1e4 * Math.abs(here.x - cards[at].x) + Math.abs(to.y - from.y) : Math.abs(to.y - from.y) + 3 * Math.abs(to.x - from.x); };
    const next = others.reduce((best, at) => best === null || far(at) < far(best) ? at : best, null);
    if (next !== null) choose(next);
  }

  function help(open) {
    $('keys').hidden = !open;
    $('help').setAttribute('aria-expanded', open);
  }
  document.addEventListener('keydown', event => {
    if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      '/': () => search.focus(), '?': () => help($('keys').hidden), '+': () => zoom(1.25), '=': () => zoom(1.25), '-': () => zoom(0.8), '0': fit,
      f: () => { setFields(!scene.fields); keep(); },
      Escape: () => {
        if (!$('keys').hidden) help(false);
        else if (state.feature >= 0) choose(-1);
        else { state.q = search.value = state.tone = ''; draw(); keep(); }
      },
    };
    if (event.key.startsWith('Arrow') && !panel.contains(event.target)) does[event.key] = () => go(event.key);
    if (!does[event.key]) return;
    event.preventDefault();
    does[event.key]();
  });

  $('larger').addEventListener('click', () => zoom(1.25));
  $('smaller').addEventListener('click', () => zoom(0.8));
  $('fit').addEventListener('click', fit);
  $('fields').addEventListener('click', () => { setFields(!scene.fields); keep(); });
  $('help').addEventListener('click', () => help($('keys').hidden));
  window.addEventListener('hashchange', restore);
  window.addEventListener('resize', () => held || state.feature >= 0 || begin());

  summary();
  $('nothing').hidden = features.length > 0;
  $('fields').setAttribute('aria-pressed', scene.fields);
  restore();
  document.body.dataset.ready = 'yes';
})();
