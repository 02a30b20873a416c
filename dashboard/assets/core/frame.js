/* The header's controls and the address: ?range=1h&refresh=5&pause=1&theme=dark says what the page shows, and how. */
(function () {
  'use strict';
  const CHOICES = { range: ['15m', '1h', '6h', '24h'], refresh: ['off', '2', '5', '10'], pause: ['0', '1'], theme: ['auto', 'light', 'dark'] };
  const USUAL = { range: '1h', refresh: '2', pause: '0' };
  const KEY = 'mantine-color-scheme-value'; // Mantine's own key, so that it starts with the stored choice
  const view = { ...USUAL, theme: null, since: null };
  const byId = (id) => document.getElementById(id);

  function read() {
    const asked = new URLSearchParams(window.location.search);
    const unknown = [];
    Object.keys(CHOICES).forEach((name) => {
      const value = asked.get(name);
      const known = CHOICES[name].includes(value);
      if (value !== null && !known) unknown.push(name + '=' + value.slice(0, 40));
      view[name] = known ? value : USUAL[name] || null;
    });
    return unknown;
  }

  // The address of the page with the header's state in it; what is as usual is left out.
  function withView(address) {
    const whole = new URL(address, window.location.href);
    Object.keys(CHOICES).forEach((name) => {
      if (view[name] && view[name] !== USUAL[name]) whole.searchParams.set(name, view[name]);
      else whole.searchParams.delete(name);
    });
    return whole.pathname + whole.search.replace(/%2C/g, ',');
  }

  // Without a new entry in the history and without Dash taking it for a new page.
  function write(address) {
    const next = withView(address || window.location.href);
    if (next !== window.location.pathname + window.location.search) window.history.replaceState(window.history.state, '', next + window.location.hash);
  }

  const paused = () => view.pause === '1' || view.refresh === 'off';

  function show() {
    if (paused() && !view.since) view.since = Date.now();
    if (!paused()) view.since = null;
    const button = byId('pause');
    if (!button) return;
    byId('range').value = view.range;
    byId('refresh').value = view.refresh;
    button.setAttribute('aria-pressed', String(view.pause === '1'));
    button.title = view.pause === '1' ? 'Go on: show new data again' : 'Pause: keep what is shown';
  }

  function notice(unknown) {
    const place = byId('frame-notice');
    if (!place) return;
    const usual = 'What is known: range 15m, 1h, 6h, 24h; refresh off, 2, 5, 10; pause 0, 1; theme auto, light, dark.';
    place.textContent = unknown.length ? `The address asks for ${unknown.join(', ')}, which is not known; the usual is shown instead. ${usual}` : '';
  }

  function start() {
    const unknown = read();
    show();
    notice(unknown);
    if (!unknown.length) write();
    return { range: view.range };
  }

  function changed() {
    show();
    notice([]);
    write();
    window.dash_clientside.set_props('view', { data: { range: view.range } });
    window.lake.poll(); // the pill and, unless paused, the data: at once
  }

  document.addEventListener('change', (event) => {
    const name = event.target.id;
    if (!['range', 'refresh'].includes(name)) return;
    view[name] = event.target.value;
    changed();
  });
  document.addEventListener('click', (event) => {
    if (!event.target.closest('#pause')) return;
    view.pause = view.pause === '1' ? '0' : '1';
    changed();
  });

  const theme = () => {
    const stored = localStorage.getItem(KEY);
    return view.theme || (CHOICES.theme.includes(stored) ? stored : 'auto');
  };

  function chooseTheme(choice) {
    localStorage.setItem(KEY, choice);
    view.theme = choice;
    write();
  }

  read();
  // Another page: the header's state comes along.
  function arrived(pathname) {
    if (pathname === window.location.pathname) write();
    return window.dash_clientside.no_update;
  }
  // The address of what a page shows, as the page itself says it.
  function viewAddress(address) {
    const parts = String(address || '').split('?');
    if (parts[0] && parts[0] === window.location.pathname) write(address);
    return window.dash_clientside.no_update;
  }

  window.lake = Object.assign(window.lake || {}, { view, paused, theme, chooseTheme, write });
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.lake = Object.assign(window.dash_clientside.lake || {}, { start, arrived, viewAddress });
})();
