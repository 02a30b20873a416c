/* The page's clock: polls /beat, and paints ages, clocks and the status pill every second, server or no server. */
(function () {
  'use strict';
  const TICK = 2000, LOST_MILLIS = 4000;
  const beat = { failed: 0, skew: 0, heard: null, answer: null, shownTaken: null, sentAt: 0, pause: 0 };
  const noUpdate = () => window.dash_clientside.no_update;
  const now = () => Date.now() + beat.skew; // the server's clock; the viewer's may be wrong

  async function ask() {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TICK);
    try {
      const response = await fetch('/beat', { signal: abort.signal, cache: 'no-store' });
      if (!response.ok) throw new Error('beat ' + response.status);
      beat.answer = await response.json();
      beat.skew = beat.answer.now * 1000 - Date.now();
      beat.heard = Date.now();
      beat.failed = 0;
    } catch (_error) {
      beat.failed += 1;
    } finally {
      clearTimeout(timer);
    }
  }

  // The pill is asked for every 2 s, whatever the page's own refresh is; data only when it is due.
  async function tick(_n, _poll, shown) {
    await ask();
    const version = beat.answer && beat.failed === 0 ? beat.answer.version : null;
    const { paused, view } = window.lake;
    const due = !shown || (!paused() && Date.now() - beat.sentAt > Number(view.refresh) * 1000 - TICK / 2);
    const send = version && due;
    if (send) {
      beat.pause = Date.now() - beat.sentAt;
      beat.sentAt = Date.now();
      beat.shownTaken = beat.answer.taken_at;
    }
    paint();
    return send && version !== shown ? version : noUpdate();
  }

  // Whether the page shows events as they come: it is looked at, and asked as often as it should.
  const steady = () => !document.hidden && !window.lake.paused() && beat.pause < (Number(window.lake.view.refresh) || 2) * 1000 + TICK;

  // Between two ticks: after a click, and when a hidden page, whose clock the browser slows down, is seen again.
  function poll() {
    beat.sentAt = 0;
    const at = (polls += 1);
    window.dash_clientside.set_props('poll', { data: at });
  }
  let polls = 0;
  document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });

  function age(millis) {
    const s = Math.max(0, Math.floor(millis / 1000));
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min ' + (s % 60) + ' s';
    if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor((s % 3600) / 60) + ' min';
    return Math.floor(s / 86400) + ' d ' + Math.floor((s % 86400) / 3600) + ' h';
  }

  const roughly = (millis) => age(millis).split(' ').slice(0, 2).join(' ');

  function clock(millis) {
    const iso = new Date(millis).toISOString();
    const today = new Date(now()).toISOString().slice(0, 10);
    return (iso.slice(0, 10) === today ? '' : iso.slice(0, 10) + ' ') + iso.slice(11, 19);
  }

  function put(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function asOf(element) {
    const value = element.dataset.asOf;
    const live = value === 'live';
    const at = live ? (beat.shownTaken ? beat.shownTaken * 1000 : null) : Date.parse(value);
    const tile = element.closest('.tile');
    if (!value || at === null || Number.isNaN(at)) return put(element, '');
    const old = now() - at > Number(element.dataset.staleAfter) * 1000;
    put(element, 'as of ' + clock(at) + ' UTC' + (old ? ' · ' + age(now() - at) + ' old' : ''));
    element.title = new Date(at).toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
    if (tile) tile.toggleAttribute('data-stale', old);
  }

  function status() {
    const answer = beat.answer;
    const silent = beat.heard !== null && Date.now() - beat.heard > LOST_MILLIS;
    if (beat.failed >= 2 || (beat.failed && silent)) {
      return ['offline', 'OFFLINE', 'The dashboard server does not answer; it is asked again every 2 s.'];
    }
    if (!answer) return ['connecting', 'CONNECTING', 'Waiting for the first answer.'];
    const { paused, view } = window.lake;
    if (paused()) return ['paused', 'PAUSED ' + roughly(Date.now() - view.since), 'What is shown is kept as it was.\n' + answer.title];
    const seconds = answer.status === 'stale' && answer.since ? ' ' + roughly(now() - answer.since * 1000) : '';
    return [answer.status, answer.word + seconds, answer.title];
  }

  function paint() {
    const pill = document.getElementById('status-pill');
    if (pill) {
      const [state, text, title] = status();
      if (pill.dataset.status !== state) pill.dataset.status = state;
      put(pill, text);
      pill.title = title;
      document.body.dataset.connection = state;
    }
    document.querySelectorAll('[data-age]').forEach((e) => put(e, age(now() - Date.parse(e.dataset.age))));
    document.querySelectorAll('.as-of').forEach(asOf);
    document.querySelectorAll('.note').forEach((e) => {
      e.hidden = !(e.dataset.showAfter && now() > Date.parse(e.dataset.showAfter));
    });
  }

  let queued = false;
  new MutationObserver(() => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; paint(); });
  }).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true, attributeFilter: ['data-age', 'data-as-of', 'data-show-after'],
  });
  setInterval(paint, 1000);

  window.lake = Object.assign(window.lake || {}, { poll, now, steady });
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.lake = Object.assign(window.dash_clientside.lake || {}, { tick });
})();
