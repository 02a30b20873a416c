/* The page's clock: polls /beat, and paints ages, clocks and the status pill every second, server or no server. */
(function () {
  'use strict';
  const TICK = 2000, LOST_TICKS = 3, STALE_SECONDS = 30;
  const beat = { failed: 0, skew: 0, heard: null, answer: null };
  const noUpdate = () => window.dash_clientside.no_update;
  const now = () => Date.now() + beat.skew; // the server's clock; the viewer's may be wrong

  async function tick(_n, shown) {
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
      paint();
    }
    const version = beat.answer && beat.failed === 0 ? beat.answer.version : null;
    return version && version !== shown ? version : noUpdate();
  }

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
    const at = live ? (beat.answer ? beat.answer.taken_at * 1000 : null) : Date.parse(value);
    const tile = element.closest('.tile');
    if (!value || at === null || Number.isNaN(at)) return put(element, '');
    const old = now() - at > Number(element.dataset.staleAfter) * 1000;
    put(element, 'as of ' + clock(at) + (old ? ' · ' + age(now() - at) + ' old' : ''));
    element.title = new Date(at).toISOString();
    if (tile) tile.toggleAttribute('data-stale', old);
  }

  function status() {
    const answer = beat.answer;
    if (beat.failed >= LOST_TICKS) return ['offline', 'OFFLINE', 'The dashboard server does not answer; it is asked again every 2 s.'];
    if (!answer) return ['connecting', 'CONNECTING', 'Waiting for the first answer.'];
    const taken = now() - answer.taken_at * 1000;
    const fresh = answer.fresh_at === 'live' || !answer.fresh_at ? taken : now() - Date.parse(answer.fresh_at);
    const oldest = Math.max(taken, fresh);
    if (taken > LOST_TICKS * TICK || fresh > STALE_SECONDS * 1000) {
      return ['stale', 'STALE ' + roughly(oldest), 'What is shown may miss the events of the last ' + age(oldest) + '.'];
    }
    if (!answer.fresh_at) return ['empty', 'NO DATA', 'No query has run yet; this page fills as soon as one does.'];
    return ['live', 'LIVE', 'Up to date; looked at the lake ' + age(taken) + ' ago.'];
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

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.lake = Object.assign(window.dash_clientside.lake || {}, { tick });
})();
