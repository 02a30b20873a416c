/* How long the events of a live list took from the broker to this screen; the numbers stand under the list. */
(function () {
  'use strict';
  const KEPT = 500; // events that the numbers are taken over
  const noUpdate = () => window.dash_clientside.no_update;
  let list = null; // the element of the list that `delays` belong to: another page, another list
  let delays = [];

  function quantile(part) {
    const sorted = [...delays].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] / 1000;
  }

  function tell(recorded, id) {
    const at = window.lake.now();
    delays = delays.concat(recorded.map((moment) => at - moment)).slice(-KEPT);
    const [middle, most] = [quantile(0.5), quantile(0.95)];
    const events = delays.length === 1 ? 'the last event' : 'the last ' + delays.length + ' events';
    window.dash_clientside.set_props(id, {
      children: 'From the broker to this screen: median ' + middle.toFixed(1) + ' s, 95 % within ' + most.toFixed(1) + ' s, of ' + events + ' seen here.',
      'data-p95': most.toFixed(3),
    });
  }

  // The first events were there before the page, and those after a pause waited for the viewer: they are not counted.
  function feedDelay(recorded, id) {
    const element = document.getElementById(id);
    if (element !== list) {
      list = element;
      delays = [];
    } else if (recorded && recorded.length && window.lake.steady()) {
      setTimeout(() => requestAnimationFrame(() => tell(recorded, id)), 50); // the list takes its rows in after 50 ms
    }
    return noUpdate();
  }

  // A list is asked for every second, while the page is asked for as often as it can be; else it comes with the page.
  const PATIENCE = 5000; // a second question would have Dash drop the answer to the first
  let asking = false;
  let askedAt = 0;
  async function listTick(_n, newest, shown) {
    const { paused, view } = window.lake;
    if (asking || document.hidden || paused() || view.refresh !== '2') return noUpdate();
    const unanswered = newest.version !== (shown || newest).version;
    if (unanswered && Date.now() - askedAt < PATIENCE) return noUpdate();
    asking = true;
    try {
      const response = await fetch('/beat/' + newest.of, { signal: AbortSignal.timeout(2000), cache: 'no-store' });
      const { version } = response.ok ? await response.json() : newest;
      if (version === newest.version) return noUpdate();
      askedAt = Date.now();
      return { ...newest, version };
    } catch (_error) {
      return noUpdate(); // the pill says that nobody answers
    } finally {
      asking = false;
    }
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.lake = Object.assign(window.dash_clientside.lake || {}, { feedDelay, listTick });
})();
