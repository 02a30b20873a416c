/* Ticks carry only what changed: the answer that the page has of each callback is named to the server, and what it sends as a
   difference (dashboard/server/tick_cache.py) is put together again before Dash sees it. */
(function () {
  'use strict';
  const known = new Map(); // callback -> the answer that the page shows: its name and its contents
  const asked = new Map(); // callback -> how often it was asked; an answer overtaken by a later question is dropped by Dash
  const waiting = new Map(); // callback -> questions without an answer yet
  const own = window.fetch.bind(window);

  function applied(old, change) {
    if ('set' in change) return change.set;
    if ('splice' in change) {
      const [head, tail, between] = change.splice;
      return [...old.slice(0, head), ...between, ...old.slice(old.length - tail)];
    }
    const next = Array.isArray(old) ? [...old] : { ...old };
    (change.drop || []).forEach((key) => delete next[key]);
    Object.entries(change.into || {}).forEach(([key, inner]) => { next[key] = applied(next[key], inner); });
    return next;
  }

  // What Dash is to update: the properties that the change names; what stays out of an answer stays as it is.
  function news(whole, change) {
    const found = {};
    Object.entries(((change.into || {}).response || {}).into || {}).forEach(([id, inner]) => {
      const names = 'set' in inner ? Object.keys(whole.response[id]) : Object.keys(inner.into || {});
      found[id] = Object.fromEntries(names.map((name) => [name, whole.response[id][name]]));
    });
    return { ...whole, response: found };
  }

  const count = (map, key, more) => map.set(key, (map.get(key) || 0) + more).get(key);

  async function ask(address, options) {
    const { output, changedPropIds } = JSON.parse(options.body);
    const opening = changedPropIds.length === 0;
    const tick = opening || (changedPropIds.length === 1 && changedPropIds[0] === 'live.data');
    const turn = count(asked, output, 1);
    if (!tick || opening || waiting.get(output)) known.delete(output);
    const before = known.get(output);
    const headers = new Headers(options.headers);
    if (before) headers.set('Lake-Holds', before.name);
    count(waiting, output, 1);
    let response;
    try {
      response = await own(address, { ...options, headers });
    } finally {
      count(waiting, output, -1);
    }
    if (output.includes('_pages_content.')) known.clear(); // another page: nothing of the old one is shown any more
    const name = response.headers.get('Lake-Answer');
    if (response.status !== 200 || !tick || !name) return response;
    const answer = await response.json();
    const whole = 'since' in answer ? applied(before.whole, answer.change) : answer;
    if (asked.get(output) === turn) known.set(output, { name, whole });
    else known.delete(output);
    const shown = 'since' in answer ? news(whole, answer.change) : answer;
    return Object.assign(new Response(null, { headers: response.headers }), { json: async () => shown });
  }

  window.fetch = (address, options) => (String(address).includes('_dash-update-component') && options && options.body
    ? ask(address, options) : own(address, options));
})();
